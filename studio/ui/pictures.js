// Clicks on pictures and their small buttons, named by data-act and data-key, and the arrow keys among them.
// Acts: "pick" "gather" "second" "hold" "earlier" "later" "discard" "choose" "card" "pause" "resume" "keep" "forget"
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  if (button.dataset.act === "pick") {
    element.querySelectorAll(".picture").forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
  }
  trigger(button.dataset.act, { key: button.dataset.key });
});
element.addEventListener("keydown", (event) => {
  const all = [...element.querySelectorAll(".picture")];
  const here = all.indexOf(document.activeElement);
  if (here < 0) return;
  const first = all.findIndex((one) => one.offsetTop > all[0].offsetTop);
  const columns = first < 0 ? all.length : first;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (!step || !all[here + step]) return;
  event.preventDefault();
  all[here + step].focus();
});

// Clicks on pictures and their small buttons, named by data-act and data-key, and the arrow keys among them.
// Acts: "pick" "gather" "second" "hold" "earlier" "later" "discard" "choose" "card" "pause" "resume" "keep" "forget"
const press = (pictures, key) => pictures.forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.key === key)));
let asked = "";
let staged = "";
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  if (button.dataset.act === "pick") {
    asked = button.dataset.key;
    press(element.querySelectorAll(".picture"), asked);
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
// Where pictures follow the stage, the one is marked that was clicked until the stage answers, then the one it names.
const desk = element.closest(".desk");
const follow = () => {
  const followers = element.querySelectorAll("[data-follows='stage'] .picture");
  const named = desk.querySelector("figure.stage")?.dataset.key;
  if (!followers.length || !named) return;
  if (named !== staged) [staged, asked] = [named, ""];
  press(followers, asked || staged);
};
if (desk) new MutationObserver(follow).observe(desk, { childList: true, subtree: true });

// A slider for each class. The value is {weights: {class: 0…1}}; names go into the page as text, never as HTML.
const rows = element.querySelector(".rows");
const draw = () => {
  const weights = props.value?.weights ?? {};
  rows.replaceChildren(...Object.entries(weights).map(([name, weight]) => {
    const label = document.createElement("label");
    const title = document.createElement("span");
    const slider = document.createElement("input");
    const share = document.createElement("output");
    title.textContent = name;
    Object.assign(slider, { type: "range", min: 0, max: 1, step: 0.01, value: weight });
    slider.dataset.name = name;
    slider.setAttribute("aria-label", `Share of ${name}`);
    label.append(title, slider, share);
    return label;
  }));
  tell();
};
const sliders = () => [...rows.querySelectorAll("input")];
const tell = () => {
  const total = sliders().reduce((sum, one) => sum + Number(one.value), 0);
  sliders().forEach((one) => {
    const share = total ? Number(one.value) / total : 0;
    one.style.setProperty("--share", `${Number(one.value) * 100}%`);
    one.nextElementSibling.textContent = `${Math.round(share * 100)} %`;
  });
};
let own = "";
const differs = () => JSON.stringify(props.value?.weights) !== own;
rows.addEventListener("input", () => {
  tell();
  const weights = Object.fromEntries(sliders().map((one) => [one.dataset.name, Number(one.value)]));
  own = JSON.stringify(weights);
  props.value = { weights };
  trigger("blend");
});
element.addEventListener("click", (event) => {
  const even = event.target.closest("[data-even]");
  if (!even) return;
  sliders().forEach((one) => { one.value = even.dataset.even === "chance" ? Math.random().toFixed(2) : 1; });
  rows.dispatchEvent(new Event("input"));
});
watch("value", () => { if (differs()) draw(); });
draw();

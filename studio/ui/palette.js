// The chosen styles, each with a weight. The value is {styles: [{key, name, source, weight, practice}]}; names go in as text.
const rows = element.querySelector(".rows");
const styles = () => props.value?.styles ?? [];
let own = "";
const row = (style) => {
  const line = document.createElement("div");
  const image = document.createElement("img");
  const label = document.createElement("label");
  const title = document.createElement("span");
  const slider = document.createElement("input");
  const share = document.createElement("output");
  const away = document.createElement("button");
  Object.assign(image, { src: style.source, alt: "", draggable: false });
  title.textContent = style.practice ? `${style.name}, practised` : style.name;
  Object.assign(slider, { type: "range", min: 0, max: 1, step: 0.01, value: style.weight });
  slider.setAttribute("aria-label", `Weight of ${style.name}`);
  Object.assign(away, { type: "button", textContent: "×", title: `Take ${style.name} out` });
  away.setAttribute("aria-label", away.title);
  away.addEventListener("click", () => tell(styles().filter((other) => other.key !== style.key)));
  label.append(title, slider);
  line.append(image, label, share, away);
  line.className = "row";
  return line;
};
const shares = () => {
  const sliders = [...rows.querySelectorAll("input")];
  const total = sliders.reduce((sum, one) => sum + Number(one.value), 0);
  sliders.forEach((one) => {
    one.style.setProperty("--share", `${Number(one.value) * 100}%`);
    const share = total ? Number(one.value) / total : 0;
    one.closest(".row").querySelector("output").textContent = `${Math.round(share * 100)} %`;
  });
};
const draw = () => {
  own = JSON.stringify(styles());
  rows.replaceChildren(...styles().map(row));
  element.querySelector(".nothing").hidden = styles().length > 0;
  shares();
};
const tell = (changed) => {
  props.value = { styles: changed };
  draw();
  trigger("blend");
};
rows.addEventListener("input", () => {
  const weights = [...rows.querySelectorAll("input")].map((one) => Number(one.value));
  const changed = styles().map((style, index) => ({ ...style, weight: weights[index] }));
  own = JSON.stringify(changed);
  shares();
  props.value = { styles: changed };
  trigger("blend");
});
watch("value", () => { if (JSON.stringify(styles()) !== own) draw(); });
draw();

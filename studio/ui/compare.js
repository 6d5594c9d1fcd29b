// The result with the photo behind it: the slider uncovers the photo from the left. Value: {before, after, alt, caption, note}.
const frame = element.querySelector(".frame");
const [after, before] = frame.querySelectorAll("img");
const slider = frame.querySelector("input");
const uncover = () => frame.style.setProperty("--at", `${slider.value}%`);
const show = () => {
  const { value } = props;
  element.querySelector(".compare").hidden = !value?.after;
  element.querySelector(".nothing").hidden = Boolean(value?.after);
  if (!value?.after) return;
  after.src = value.after;
  after.alt = value.alt ?? "";
  if (value.before) before.src = value.before;
  slider.hidden = !value.before;
  before.hidden = !value.before;
  element.querySelector("b").textContent = value.caption ?? "";
  element.querySelector("figcaption span").textContent = value.note ?? "";
};
slider.addEventListener("input", uncover);
watch("value", show);
show();
uncover();

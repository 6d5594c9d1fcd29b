// A brush over the photo: where it has painted the photo stays. Value: {source, width, height, mask}; mask is a PNG as data: address.
const canvas = element.querySelector("canvas");
const brush = element.querySelector("input[type=range]");
const pen = canvas.getContext("2d", { willReadFrequently: true });
let shown = "";
let erasing = false;
let last = null;
const tint = "rgb(176 82 46)";
const base = () => element.querySelector("img");

const painted = () => { // white where the style goes, black where the photo stays
  const out = document.createElement("canvas");
  Object.assign(out, { width: canvas.width, height: canvas.height });
  const to = out.getContext("2d");
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
  let any = false;
  for (let i = 0; i < pixels.data.length; i += 4) {
    const level = 255 - pixels.data[i + 3];
    any ||= level < 255;
    pixels.data[i] = pixels.data[i + 1] = pixels.data[i + 2] = level;
    pixels.data[i + 3] = 255;
  }
  to.putImageData(pixels, 0, 0);
  return any ? out.toDataURL("image/png") : null;
};
const tell = () => {
  const mask = painted();
  shown = JSON.stringify([props.value?.source, mask]);
  props.value = { ...props.value, mask };
  trigger("paint");
};
const fill = async (source) => { // bring a mask back into the canvas
  const image = new Image();
  image.src = source;
  await image.decode();
  pen.globalCompositeOperation = "source-over";
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    pixels.data[i + 3] = 255 - pixels.data[i];
    [pixels.data[i], pixels.data[i + 1], pixels.data[i + 2]] = [176, 82, 46];
  }
  pen.putImageData(pixels, 0, 0);
};
const draw = () => {
  const { value } = props;
  const now = JSON.stringify([value?.source, value?.mask ?? null]);
  element.querySelector(".easel-mask").hidden = !value?.source;
  element.querySelector(".nothing").hidden = Boolean(value?.source);
  if (now === shown || !value?.source) return;
  shown = now;
  base().src = value.source;
  Object.assign(canvas, { width: value.width, height: value.height });
  if (value.mask) fill(value.mask);
};
const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * canvas.width, (event.clientY - box.top) / box.height * canvas.height];
};
const stroke = (event) => {
  const [x, y] = place(event);
  const [fromX, fromY] = last ?? [x, y];
  pen.globalCompositeOperation = erasing ? "destination-out" : "source-over";
  Object.assign(pen, { strokeStyle: tint, lineCap: "round", lineWidth: Number(brush.value) / 100 * canvas.width });
  pen.beginPath();
  pen.moveTo(fromX, fromY);
  pen.lineTo(x + 0.01, y);
  pen.stroke();
  last = [x, y];
};
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  last = null;
  stroke(event);
});
canvas.addEventListener("pointermove", (event) => { if (last) stroke(event); });
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    if (!last) return;
    last = null;
    tell();
  });
}
element.addEventListener("click", (event) => {
  const act = event.target.closest("[data-mask]")?.dataset.mask;
  if (act === "clear") {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    tell();
  } else if (act === "turn") {
    pen.globalCompositeOperation = "xor";
    pen.fillStyle = tint;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    tell();
  } else if (act) {
    erasing = act === "erase";
    element.querySelectorAll("[data-mask][aria-pressed]").forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.mask === act)));
  }
});
watch("value", draw);
draw();

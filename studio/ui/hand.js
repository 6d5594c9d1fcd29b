// The page's own reflexes: keys, pictures dropped anywhere, day and night, and files handed to the browser.
const shown = (selector) => [...document.querySelectorAll(selector)].find((found) => found.offsetParent && !found.disabled);

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    shown("button.run")?.click();
  } else if (event.key === "Escape") {
    shown("button.stop")?.click();
  }
}, true);

const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
let depth = 0;
const hover = (over) => document.body.classList.toggle("dropping", over);
document.addEventListener("dragenter", (event) => {
  if (!carriesFiles(event)) return;
  depth += 1;
  hover(true);
});
document.addEventListener("dragleave", (event) => {
  if (!carriesFiles(event)) return;
  depth = Math.max(0, depth - 1);
  hover(depth > 0);
});
document.addEventListener("dragover", (event) => {
  if (carriesFiles(event)) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  depth = 0;
  hover(false);
  if (!carriesFiles(event)) return;
  event.preventDefault();
  give(event.target.closest?.("[data-drop]")?.dataset.drop ?? "page", [...event.dataTransfer.files]);
}, true);
// Where files go that are dropped or pasted: a photo and styles to their places, a PNG to be restored from; a place
// that is none of these is the label of its button.
const fields = { page: "Drop or open a PNG", photo: "Choose a photo", style: "Add style pictures", own: "Add your pictures" };
const styling = () => Boolean(document.querySelector(".photo")?.offsetParent);
const give = (place, files) => {
  if (!files.length) return;
  const photo = place === "page" && styling() && files[0].type !== "image/png";
  const field = document.querySelector(`input[data-testid="${fields[photo ? "photo" : place] ?? place}-upload-button"]`);
  const held = new DataTransfer();
  (["style", "own"].includes(place) ? files : files.slice(0, 1)).forEach((file) => held.items.add(file));
  field.files = held.files;
  field.dispatchEvent(new Event("change", { bubbles: true }));
};
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length && styling()) give("photo", files);
});

// A seed that is typed or pasted is meant: its lock closes.
document.addEventListener("input", (event) => {
  const lock = event.target.closest?.("textarea") && event.target.closest(".seed-row")?.querySelector(".lock input");
  if (lock && !lock.checked) lock.click();
});

const resting = {};
const rests = (name, pause) => {
  clearTimeout(resting[name]);
  resting[name] = setTimeout(() => trigger(name), pause);
};
document.addEventListener("input", (event) => {
  const slider = event.target.closest?.("[class*='rest-']");
  const name = slider && [...slider.classList].find((one) => one.startsWith("rest-"))?.slice(5);
  if (name) rests(name, 220);
});
// The names that rests() may trigger: "settle" "repaint" "class_repaint" "class_enlarge"

element.querySelector("[data-theme]")?.addEventListener("click", () => {
  const dark = document.body.classList.toggle("dark");
  try { localStorage.setItem("atelier-theme", dark ? "dark" : "light"); } catch { /* private window */ }
});
if (!new URLSearchParams(location.search).has("__theme")) {
  let kept = null;
  try { kept = localStorage.getItem("atelier-theme"); } catch { /* private window */ }
  if (kept) document.body.classList.toggle("dark", kept === "dark");
}

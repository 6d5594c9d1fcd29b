// Tells when the value is another than the one that came first: a model has been trained since the page was opened.
let before = props.value || null;
watch("value", () => {
  const known = props.value || null;
  if (before !== null && known !== null && known !== before) trigger("news");
  before = known ?? before;
});

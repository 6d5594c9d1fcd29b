// A file that came as a data: address is handed to the browser's downloads.
watch("value", () => {
  if (!props.value?.href) return;
  const link = document.createElement("a");
  link.href = props.value.href;
  link.download = props.value.name;
  document.body.append(link);
  link.click();
  link.remove();
});

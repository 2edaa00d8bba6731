const theme = document.getElementById("theme");
theme.addEventListener("change", () => {
  if (theme.value) document.documentElement.dataset.theme = theme.value;
  else delete document.documentElement.dataset.theme;
});
// Hides what lacks one of the words that are typed, and says how many are left.
function filterBy(selector, what) {
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const all = document.querySelectorAll(selector);
    let shown = 0;
    for (const one of all) {
      one.hidden = !words.every((word) => one.dataset.name.toLowerCase().includes(word));
      if (!one.hidden) shown += 1;
    }
    document.getElementById("shown").textContent = words.length ? `${shown} of ${all.length} ${what}` : "";
  });
}

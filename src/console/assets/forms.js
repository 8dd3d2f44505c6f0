// What pages with forms do more in browsers with JavaScript.

// A button that copies the field or text whose id it names, and says so in the element that describes it.
for (const button of document.querySelectorAll("button[data-copies]")) {
  const field = document.getElementById(button.dataset.copies);
  const outcome = document.getElementById(button.getAttribute("aria-describedby"));
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (field.select) field.select();
    else getSelection().selectAllChildren(field);
    try {
      await navigator.clipboard.writeText(field.value ?? field.textContent);
      outcome.textContent = "Copied.";
    } catch {
      outcome.textContent = "The browser does not let this page copy. It is selected: copy it with the keyboard.";
    }
  });
}

// A second click would replace the page with the key by one that cannot show it again.
const sent = new Set();
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", event => {
    if (sent.has(form)) event.preventDefault();
    sent.add(form);
  });
}
addEventListener("pageshow", () => sent.clear());

// Times also in the time zone of the browser, unless it is UTC. What is shown later says so by an event.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const local = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
function addLocalTimes(within) {
  if (zone === "UTC") return;
  for (const time of within.querySelectorAll("[data-times] time")) {
    time.after(`, ${local.format(new Date(time.dateTime))} in your time zone, ${zone}`);
  }
}
addLocalTimes(document);
document.addEventListener("shown", event => addLocalTimes(event.target));

// Keeps the page of a run that is in progress up to date, from the events of the node.

/** Time before a node that does not answer, or has refused the events, is asked again, in milliseconds. */
const RETRY_MS = 5000;
/** Time after which the page of a run that the events do not have is loaded again, in milliseconds. */
const RELOAD_MS = 10000;

const section = document.querySelector("[data-run]");
const bar = section.querySelector("progress");
const numbers = new Intl.NumberFormat("en-US");

/** Shows `text` in place of what the server has written. */
function write(name, text) {
  section.querySelector(`[data-shows="${name}"]`).textContent = text;
}

let isLoading = false;

/** Loads the page as it is now, once the node can answer. It may be the answer to a form, which must not be sent again. */
async function load() {
  if (isLoading) return;
  isLoading = true;
  for (;;) {
    const status = await fetch(section.dataset.path).then(answer => answer.status, () => 0);
    if (status > 0 && status < 500) return location.replace(section.dataset.path);
    await new Promise(done => setTimeout(done, RETRY_MS));
  }
}

/** Shows the new state of a run, if it is that of the page. */
function show({ run, progress }) {
  if (run.id !== section.dataset.run) return;
  if (run.status !== "running" && run.status !== "announcing") return load();
  write("status", run.status);
  if (!progress) return;
  write("rows", numbers.format(progress.rows));
  write("changed", numbers.format(progress.changed));
  if (progress.expected > 0) {
    bar.max = progress.expected;
    bar.value = Math.min(progress.rows, progress.expected);
  }
}

// A browser connects again by itself unless it was refused. Then the page shows why.
const events = new EventSource("/admin/v1/events");
events.addEventListener("run", event => show(JSON.parse(event.data)));
events.addEventListener("snapshot", event => {
  const own = JSON.parse(event.data).runs.find(({ run }) => run.id === section.dataset.run);
  if (own) show(own);
  else setTimeout(load, RELOAD_MS);
});
events.addEventListener("error", () => {
  if (events.readyState === EventSource.CLOSED) setTimeout(load, RETRY_MS);
});

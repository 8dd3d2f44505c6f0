// What the form of a sync does more in browsers with JavaScript: the rows of its indexes and fields change at once, and the record
// beside it follows what is written. Without it, every button sends the form, and the server does the same.

/** Time without a change after which the preview is requested, in milliseconds. */
const QUIET_MS = 400;

const form = document.getElementById("entry");
const beside = document.querySelector("[data-beside]");

let timer = 0;
let isBusy = false;
let isStale = false;

/** Messages of the page that the preview has not found itself, such as one about the name. Each stays until its field is edited. */
const held = new Set([...form.querySelectorAll(".message")].filter(message => message.childElementCount > 0));

/** The message of the field `element`, or of its row. */
function messageOf(element) {
  return element.closest("li, .field")?.querySelector(".message");
}

/** Lets the preview replace the messages of a field, its row and its rows, since it was edited. */
function edited(element) {
  held.delete(messageOf(element));
  held.delete(element.closest("fieldset")?.querySelector(".message"));
}

/** Requests the preview as soon as nothing has changed for a while. */
function follow() {
  isStale = true;
  clearTimeout(timer);
  timer = setTimeout(preview, QUIET_MS);
}

/** Sends the form as it is, one at a time, and shows what the page of the answer has. */
async function preview() {
  if (isBusy) return;
  isBusy = true;
  isStale = false;
  beside.setAttribute("aria-busy", "true");
  try {
    const body = new URLSearchParams(new FormData(form));
    body.set("act", "preview");
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body });
    if (answer.status === 401) {
      beside.replaceChildren("Your session has ended. Sign in in another tab, then go on here: nothing that you entered is lost.");
    } else show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    beside.replaceChildren("There is no preview at present. It is requested again when you change the form.");
  }
  isBusy = false;
  beside.removeAttribute("aria-busy");
  if (isStale) follow();
}

/** Takes over what stands beside the form, and unless it has changed meanwhile, the messages in it. */
function show(page) {
  const fresh = page.querySelector("[data-beside]");
  const step = beside.contains(document.activeElement) ? document.activeElement.dataset.step : undefined;
  beside.replaceChildren(...fresh.childNodes);
  if (step) (beside.querySelector(`[data-step=${step}]`) ?? beside.querySelector("[data-step]"))?.focus();
  beside.dispatchEvent(new Event("shown", { bubbles: true }));
  document.getElementById("columns-known").replaceChildren(...page.getElementById("columns-known").childNodes);
  if (isStale) return;
  const other = page.getElementById("entry");
  pair(".message", other, (own, now) => {
    if (now.childElementCount > 0) held.delete(own);
    if (!held.has(own)) own.replaceChildren(...now.childNodes);
  });
  pair("input, select, textarea", other, (own, now) => {
    if (held.has(messageOf(own))) return;
    for (const name of ["aria-invalid", "aria-describedby"]) {
      if (now.hasAttribute(name)) own.setAttribute(name, now.getAttribute(name));
      else own.removeAttribute(name);
    }
  });
}

/** Calls `each` with the elements of the form and those of another one in the same places. */
function pair(selector, other, each) {
  const [own, now] = [form, other].map(one => [...one.querySelectorAll(selector)]);
  if (own.length === now.length) own.forEach((element, at) => each(element, now[at]));
}

/** Makes the field of a value one line for a column, and several for anything else. */
function fit(row) {
  const [kind, value] = ["field_kind", "field_value"].map(name => row.querySelector(`[name=${name}]`));
  const tag = kind.value === "column" ? "input" : "textarea";
  if (value.localName === tag) return;
  const field = document.createElement(tag);
  for (const name of value.getAttributeNames()) field.setAttribute(name, value.getAttribute(name));
  if (tag === "input") field.setAttribute("list", "columns-known");
  else field.className = "code";
  field.value = value.value;
  value.replaceWith(field);
}

/** Does what a button of the rows of `set` does; whether it could. */
function change(verb, row, set) {
  const rows = set.querySelector("[data-rows]");
  if (verb === "add") {
    rows.append(set.querySelector("template").content.cloneNode(true));
    rows.lastElementChild.querySelector("input").focus();
  } else if (verb === "up") {
    row.previousElementSibling?.before(row);
  } else if (verb === "down") {
    row.nextElementSibling?.after(row);
  } else if (verb === "remove") {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    (next?.querySelector("input") ?? set.querySelector("button[value$=add]")).focus();
  } else return false;
  return true;
}

form.addEventListener("click", event => {
  const button = event.target.closest("button[name=change]");
  if (!button) return;
  const verb = button.value.match(/add|up|down|remove/)?.[0];
  edited(button);
  if (!change(verb, button.closest("li"), button.closest("fieldset"))) return;
  event.preventDefault();
  if (button.isConnected && button.closest("li")) button.focus();
  follow();
});
form.addEventListener("input", event => {
  edited(event.target);
  if (event.target.name === "field_kind") fit(event.target.closest("li"));
  follow();
});
beside.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (!button) return;
  event.preventDefault();
  if (button.name === "change") beside.querySelector("[name=row]").value = button.value.split("-")[1];
  clearTimeout(timer);
  isStale = true;
  preview();
});
preview();

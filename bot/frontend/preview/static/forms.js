// Forms (Discord's modals) that the bot opens.
import * as api from "./api.js";
import { chooser } from "./components.js";
import { el } from "./dom.js";
import { markdown } from "./markdown.js";
import { names } from "./messages.js";
import { current } from "./server.js";

let count = 0;

/** Show a form; `settle` handles the answer to its submission. */
export function openForm({ form, modal }, settle) {
  const fields = new Map();
  const title = el("h2", { id: `form-${++count}` }, modal.title);
  const wrong = el("p", { className: "wrong", role: "alert" });
  const submit = el("button", { type: "submit", className: "button primary" }, "Submit");
  const cancel = el("button", { type: "button", className: "button secondary" }, "Cancel");
  const body = el("form", { method: "dialog" }, title, modal.components.map((item) => part(item, fields)), wrong,
    el("div", { className: "row end" }, cancel, submit));
  const dialog = el("dialog", { className: "form", "aria-labelledby": title.id }, body);
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  body.addEventListener("submit", async (event) => {
    event.preventDefault();
    const missing = [...fields.values()].find((field) => field.wrong());
    wrong.textContent = missing ? missing.wrong() : "";
    if (missing) return missing.node.focus();
    submit.disabled = true;
    const values = {}, files = {};
    for (const [id, field] of fields) {
      if (field.files) files[id] = [...field.node.files];
      else if (field.value() !== undefined) values[id] = field.value();
    }
    const answer = await api.act({ kind: "submit", form, values }, files);
    submit.disabled = false;
    if (answer.state === "done" || answer.state === "form") {
      dialog.close();
      settle(answer, () => {});
    } else wrong.textContent = "Something went wrong. Close this form and try again.";
  });
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("input, textarea, select")?.focus();
}

function part(item, fields) {
  if (item.type === 10) return el("div", { className: "display" }, markdown(item.content, names));
  const control = item.type === 18 ? item.component : item.type === 1 ? item.components[0] : item;
  const label = item.label ?? control.label ?? control.placeholder ?? "";
  const field = made(control, label);
  fields.set(control.custom_id, field);
  const needed = control.required ?? control.type !== 23;
  field.wrong = () => (needed && field.empty() ? `“${label}” is required.` : field.fault?.() ?? "");
  return el("label", { className: control.type === 23 ? "field tick" : "field" }, el("span", { className: "label" }, label, needed ? el("b", { title: "required" }, " *") : null),
    item.description ? el("small", {}, item.description) : null, field.node);
}

function made(control, label) {
  switch (control.type) {
    case 4: return text(control, label);
    case 19: {
      const node = el("input", { type: "file", multiple: (control.max_values ?? 1) > 1, "aria-label": label });
      return { node, files: true, empty: () => !node.files.length };
    }
    case 21: case 22: return boxes(control, label);
    case 23: {
      const node = el("input", { type: "checkbox", checked: Boolean(control.default), "aria-label": label });
      return { node, value: () => node.checked, empty: () => !node.checked };
    }
    default: {
      const state = { values: (control.options ?? []).filter((one) => one.default).map((one) => one.value) };
      const node = chooser(control, current(), label, (values) => { state.values = values; });
      return { node, value: () => state.values, empty: () => !state.values.length };
    }
  }
}

function text(control, label) {
  const node = el(control.style === 2 ? "textarea" : "input", {
    value: control.value ?? "", placeholder: control.placeholder ?? "", "aria-label": label, data: { customId: control.custom_id },
  });
  if (control.style === 2) node.rows = 4;
  if (control.max_length) node.maxLength = control.max_length;
  const fault = () => (node.value && node.value.length < (control.min_length ?? 0) ? `“${label}” needs at least ${control.min_length} characters.` : "");
  return { node, value: () => node.value, empty: () => !node.value.trim(), fault };
}

function boxes(control, label) {
  const kind = control.type === 21 ? "radio" : "checkbox";
  const node = el("fieldset", { className: "boxes", "aria-label": label }, control.options.map((one) => el("label", {},
    el("input", { type: kind, name: control.custom_id, value: one.value, checked: Boolean(one.default) }), ` ${one.label}`,
    one.description ? el("small", {}, one.description) : null)));
  const chosen = () => [...node.querySelectorAll("input:checked")].map((input) => input.value);
  return { node, value: () => (kind === "radio" ? chosen()[0] : chosen()), empty: () => !chosen().length };
}

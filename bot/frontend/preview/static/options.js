// One option of a command: its field, its suggestions and its value.
import { el, size } from "./dom.js";
import { openPopup, popup } from "./popup.js";

const STRING = 3, INTEGER = 4, BOOLEAN = 5, USER = 6, CHANNEL = 7, ROLE = 8, MENTIONABLE = 9, NUMBER = 10, FILE = 11;
const WAIT_MS = 120;

/** A field for an option; `on` has the server, and what to do on keys, files and completions. */
export function optionField(option, on) {
  return option.type === FILE ? fileField(option, on) : textField(option, on);
}

function fileField(option, on) {
  const button = el("button", { type: "button", className: "pick", "aria-label": `${option.name}: choose a file` }, "Choose or drop a file");
  const node = el("span", { className: "option", data: { option: option.name } }, el("span", { className: "name" }, option.name), button);
  const field = {
    option, node, file: null,
    put(file) {
      field.file = file;
      button.textContent = `${file.name} (${size(file.size)})`;
      button.setAttribute("aria-label", `${option.name}: ${file.name}; choose another`);
    },
    empty: () => field.file === null,
    fault: () => "",
    focus: () => button.focus(),
    set: () => {},
    value: () => undefined,
  };
  button.addEventListener("click", on.pickFile);
  button.addEventListener("focus", on.tell);
  button.addEventListener("keydown", (event) => {
    if (event.key === "Backspace" || event.key === "Delete") { event.preventDefault(); on.back(); }
  });
  return field;
}

/** Fixed suggestions of an option: pairs of name and value; null if there are none. */
function fixed(option, server) {
  const named = (kind, sign) => server[kind].map((one) => ({ name: `${sign}${one.name}`, value: one.id }));
  switch (option.type) {
    case BOOLEAN: return [{ name: "True", value: true }, { name: "False", value: false }];
    case USER: return named("people", "@");
    case ROLE: return named("roles", "@");
    case CHANNEL: return named("channels", "#");
    case MENTIONABLE: return [...named("people", "@"), ...named("roles", "@")];
    default: return option.choices?.length && !option.autocomplete ? option.choices : null;
  }
}

function textField(option, on) {
  const list = fixed(option, on.server);
  const input = el("input", { type: "text", autocomplete: "off", spellcheck: option.type === STRING && !list && !option.autocomplete,
    role: list || option.autocomplete ? "combobox" : undefined, "aria-label": option.name, data: { option: option.name },
    inputMode: option.type === INTEGER ? "numeric" : option.type === NUMBER ? "decimal" : "text", enterKeyHint: "send" });
  if (option.max_length) input.maxLength = option.max_length;
  const node = el("label", { className: "option" }, el("span", { className: "name" }, option.name), input);
  let chosen = null, timer = 0, turn = 0;

  const offer = (choices, first) => openPopup(input, choices.map((one) => ({ title: one.name, pick: () => {
    chosen = one;
    input.value = one.name;
    on.next();
  } })), { first, empty: list ? "Nothing fits." : "" });
  const suggest = async () => {
    if (list) {
      const text = input.value.toLowerCase().replace(/^[@#]/, "");
      const all = chosen ? list : list.filter((one) => one.name.toLowerCase().replace(/^[@#]/, "").includes(text));
      offer(all, Boolean(text) && !chosen);
    } else if (option.autocomplete) {
      clearTimeout(timer);
      const mine = ++turn;
      input.ariaBusy = "true";
      timer = setTimeout(async () => {
        const wanted = () => mine === turn && document.activeElement === input;
        try {
          const found = wanted() ? await on.complete(input.value) : [];
          if (wanted()) offer(found, false);
        } finally {
          if (mine === turn) input.ariaBusy = null;
        }
      }, WAIT_MS);
    } else popup.close();
  };
  input.addEventListener("focus", () => { on.tell(); suggest(); });
  input.addEventListener("input", () => { chosen = null; suggest(); });
  input.addEventListener("blur", () => { turn++; input.ariaBusy = null; popup.closeSoon(); });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || popup.key(event)) return;
    if (event.key === "Enter") { event.preventDefault(); on.send(); }
    else if (event.key === "Backspace" && !input.value) { event.preventDefault(); on.back(); }
  });

  const match = () => {
    const text = input.value.trim().toLowerCase();
    return chosen ?? list?.find((one) => [one.name, String(one.value)].some((name) => name.toLowerCase() === text)) ?? null;
  };
  return {
    option, node, file: null,
    empty: () => !input.value.trim(),
    set: (text) => { input.value = text; },
    focus: (all = false) => { input.focus(); if (all) input.select(); },
    value: () => {
      const found = match();
      if (found) return typeof found.value === "number" ? String(found.value) : found.value;
      return option.type === STRING ? input.value : input.value.trim().replace(",", ".");
    },
    fault: () => {
      const text = input.value.trim().replace(",", ".");
      if (list && !match()) return `${option.name} is one of the list.`;
      if (match()) return "";
      if (option.type === STRING) return input.value.length < (option.min_length ?? 0) ? `${option.name} needs at least ${option.min_length} characters.` : "";
      if (option.type === INTEGER && !/^-?(0|[1-9]\d{0,15})$/.test(text)) return `${option.name} is a whole number.`;
      if (option.type === NUMBER && !/^-?(\d+\.?\d*|\.\d+)$/.test(text)) return `${option.name} is a number.`;
      if (option.min_value !== undefined && Number(text) < option.min_value) return `${option.name} is at least ${option.min_value}.`;
      if (option.max_value !== undefined && Number(text) > option.max_value) return `${option.name} is at most ${option.max_value}.`;
      return "";
    },
  };
}

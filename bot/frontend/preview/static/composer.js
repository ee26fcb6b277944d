// The prompt field: words paint a picture, "/" lists the commands with their options, as in Discord.
import * as api from "./api.js";
import { byId, el } from "./dom.js";
import { pending, settle } from "./messages.js";
import { openPopup, popup } from "./popup.js";
import { optionField } from "./options.js";
import { current } from "./server.js";

const form = byId("composer"), fields = byId("fields"), hint = byId("hint"), picker = byId("file");
const PAINT = "imagine", WORDS = "prompt", FILE = 11;
const PAINTING = "Describe a picture, or type /", COMMANDS = "Type /";
let command = null, shown = [], all = [];

const words = el("textarea", { id: "words", rows: 1, maxLength: 6000, placeholder: PAINTING,
  "aria-label": PAINTING, autocomplete: "off", spellcheck: true, enterKeyHint: "send" });

/** Begin with an empty prompt; with `keep`, only where nothing is being written. */
export async function reset({ keep = false } = {}) {
  if (!keep || (!command && !words.value)) leave();
  all = (await api.commands()).commands;
  words.placeholder = paints() ? PAINTING : all.length ? COMMANDS : nobody();
  words.setAttribute("aria-label", words.placeholder);
  words.disabled = byId("send").disabled = byId("attach").disabled = !all.length;
  if (!fields.children.length) leave();
  else if (!command && document.activeElement === words) suggest();
}

/** The command for plain words, if it can be used here. */
const paints = () => all.find((one) => one.name === PAINT);

/** The reason why there are no commands: the person is in a server without the bot, and did not install it. */
function nobody() {
  const { people, me, bot } = current();
  return `${people.find((one) => one.id === me).name} has not installed ${bot.name}: there are no commands here`;
}

function leave(text = "") {
  command = null;
  shown = [];
  words.value = text;
  fields.replaceChildren(words);
  tell("");
  popup.close();
  suggest();
  if (matchMedia("(pointer: fine)").matches || text) words.focus();
}

function tell(text, wrong = false) {
  hint.textContent = text;
  hint.classList.toggle("wrong", wrong);
}

// Words

words.addEventListener("input", suggest);
words.addEventListener("keydown", (event) => {
  if (popup.key(event)) return;
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
words.addEventListener("blur", () => popup.closeSoon());
words.addEventListener("focus", () => {
  if (words.value.startsWith("/")) suggest();
});

/** Offer the commands whose names or descriptions fit what is typed behind "/". */
function suggest() {
  const typed = /^\/([^\n]*)$/.exec(words.value);
  if (!typed) return popup.close();
  const named = all.find((one) => words.value.startsWith(`/${one.name} `));
  if (named) return choose(named, words.value.slice(named.name.length + 2));
  const text = typed[1].toLowerCase().trimEnd();
  const rank = (one) => (one.name.startsWith(text) ? 0 : one.name.includes(text) ? 1 : one.description.toLowerCase().includes(text) ? 2 : 3);
  const fitting = all.filter((one) => rank(one) < 3).sort((a, b) => rank(a) - rank(b) || order(a) - order(b));
  openPopup(words, fitting.map((one) => ({
    title: `/${one.name}`, extra: one.options.filter((option) => option.required).map((option) => option.name).join("  "),
    text: one.description, pick: () => choose(one),
  })), { first: true, empty: "No command is called so." });
}

const order = (one) => (one.name === PAINT ? 0 : 1);

// A command

function choose(chosen, text = "") {
  command = chosen;
  shown = [];
  popup.close();
  const chip = el("span", { className: "chip" }, `/${chosen.name}`);
  fields.replaceChildren(chip);
  for (const option of chosen.options.filter((one) => one.required)) add(option, false);
  if (text && shown[0]) shown[0].set(text);
  ghost();
  const first = shown.find((one) => one.empty()) ?? shown[0];
  if (first) first.focus();
  else (fields.querySelector(".ghost input") ?? byId("send")).focus();
  tell(first ? first.option.description : chosen.description);
}

function add(option, focus = true) {
  const field = optionField(option, {
    server: current(), tell: () => tell(option.description),
    complete: (value) => complete(option, value),
    next: (event) => forward(field, event), back: () => back(field), send: () => form.requestSubmit(),
    pickFile: () => pick(field),
  });
  shown.push(field);
  const end = fields.querySelector(".ghost");
  if (end) end.before(field.node);
  else fields.append(field.node);
  if (focus) {
    ghost();
    field.focus();
  }
  return field;
}

/** The field behind the options that offers the others. */
function ghost() {
  fields.querySelector(".ghost")?.remove();
  const rest = () => command.options.filter((one) => !shown.some((field) => field.option === one));
  if (!rest().length) return;
  const input = el("input", { type: "text", "aria-label": "Add an option", placeholder: `+${rest().length} more`, role: "combobox",
    autocomplete: "off" });
  const list = () => {
    const text = input.value.toLowerCase();
    openPopup(input, rest().filter((one) => one.name.includes(text)).map((one) => ({
      title: one.name, text: one.description, pick: () => add(one),
    })), { first: Boolean(text), empty: "No option is called so." });
  };
  input.addEventListener("focus", () => { tell(command.description); list(); });
  input.addEventListener("input", list);
  input.addEventListener("blur", () => { input.value = ""; popup.closeSoon(); });
  input.addEventListener("keydown", (event) => {
    if (popup.key(event)) return;
    if (event.key === "Enter") { event.preventDefault(); form.requestSubmit(); }
    if (event.key === "Backspace" && !input.value) { event.preventDefault(); shown.length ? shown.at(-1).focus() : leave(`/${command.name}`); }
    if (event.key === "Escape") { event.stopPropagation(); leave(); }
  });
  fields.append(el("label", { className: "ghost" }, input));
}

async function complete(option, value) {
  if (!command) return [];
  const answer = await api.act({ kind: "complete", name: command.name, option: option.name, value, options: typed(false).values });
  return answer.state === "choices" ? answer.choices : [];
}

function forward(field) {
  const next = shown.slice(shown.indexOf(field) + 1)[0];
  if (next) next.focus();
  else fields.querySelector(".ghost input")?.focus();
}

function back(field) {
  const index = shown.indexOf(field);
  if (field.option.required) {
    if (index === 0) leave(`/${command.name}`);
    else shown[index - 1].focus();
    return;
  }
  field.node.remove();
  shown.splice(index, 1);
  ghost();
  if (shown.length) shown[Math.max(0, index - 1)].focus();
  else fields.querySelector(".ghost input").focus();
}

/** The values of the options, and the first fault. */
function typed(strict = true) {
  const values = {}, files = {};
  let fault = null;
  for (const field of shown) {
    if (field.empty()) {
      if (field.option.required) fault ??= [field, `${field.option.name} is required.`];
      continue;
    }
    const wrong = field.fault();
    if (wrong) fault ??= [field, wrong];
    else if (field.file) files[field.option.name] = [field.file];
    else values[field.option.name] = field.value();
  }
  return { values, files, fault: strict ? fault : null };
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (command) {
    const { values, files, fault } = typed();
    if (fault) {
      fault[0].focus(true);  // This tells what the option is for.
      tell(fault[1], true);
      return;
    }
    send(command.name, values, files);
    leave();
  } else if (words.value.trim() && !words.value.startsWith("/")) {
    if (!paints()) return tell("Type / to see the commands that can be used here.", true);
    send(PAINT, { [WORDS]: words.value.trim() }, {});
    leave();
  } else if (words.value.startsWith("/")) tell("Choose a command from the list.", true);
});

async function send(name, options, files) {
  const me = current().people.find((one) => one.id === current().me).name;
  const line = pending(me, `/${name}`);
  const answer = await api.act({ kind: "slash", name, options }, files);
  if (answer.state === "late") line.fail("The application did not respond");
  else if (answer.state === "refused") line.fail("This command could not be sent.");
  else line.done();
  if (answer.state === "form") settle(answer, () => {});
}

// Files

/** Where a new file belongs: an empty file option of the command, or one that can still be added. */
function vacancy() {
  const empty = shown.find((field) => field.option.type === FILE && !field.file);
  if (empty) return empty;
  const option = command?.options.find((one) => one.type === FILE && !shown.some((field) => field.option === one));
  return option ? add(option) : null;
}

function take(files) {
  for (const file of files) {
    if (!command && paints()) {
      const text = words.value.startsWith("/") ? "" : words.value;
      choose(paints(), text);
    }
    const field = vacancy();
    if (!command) return tell("Choose a command first.", true);
    if (!field) return tell(`/${command.name} takes no more files.`, true);
    field.put(file);
  }
  goOn();
}

/** After a file: to what is missing, else to where Enter sends. */
function goOn() {
  const next = shown.find((one) => one.option.required && one.empty()) ?? shown.find((one) => one.option.type !== FILE);
  if (next) next.focus();
  else byId("send").focus();
}

function pick(field) {
  picker.onchange = () => {
    if (picker.files.length) field ? field.put(picker.files[0]) : take([...picker.files]);
    picker.value = "";
    goOn();
  };
  picker.click();
}

byId("attach").addEventListener("click", () => pick(null));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take([...event.dataTransfer.files]);
});
addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) {
    event.preventDefault();
    take(files);
  }
});

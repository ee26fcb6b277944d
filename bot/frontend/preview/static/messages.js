// The list of messages: drawing, updating in place, and staying at the newest one.
import * as api from "./api.js";
import { attachment, components } from "./components.js";
import { byId, el } from "./dom.js";
import { openForm } from "./forms.js";
import { line, markdown } from "./markdown.js";
import { cover, picture, video } from "./media.js";
import { messageMenu, userMenu } from "./menus.js";

const EPHEMERAL = 64, LOADING = 128, SWAP_MS = 700, NEAR_PX = 60, FAILED_MS = 8000;
const list = byId("messages"), scroll = byId("scroll"), newest = byId("newest"), said = byId("said");
// Kept, since each `toLocaleString` makes its formatter anew.
const TIME = new Intl.DateTimeFormat("en", { timeStyle: "short" });
const DATE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const FULL = new Intl.DateTimeFormat("en", { year: "numeric", month: "numeric", day: "numeric",
  hour: "numeric", minute: "numeric", second: "numeric" });
const known = new Map();
let server = null, atEnd = true, quiet = true, stood = 0;

export const names = {
  person: (id) => [...(server?.people ?? []), server?.bot].find((one) => one?.id === id)?.name ?? "somebody",
  role: (id) => server?.roles.find((one) => one.id === id)?.name ?? "role",
  channel: (id) => server?.channels.find((one) => one.id === id)?.name ?? "channel",
};

/** Begin anew with a channel's server. */
export function begin(where) {
  server = where;
  clear();
}

/** Remove all messages: the next ones may be those of another person. */
export function clear() {
  known.clear();
  list.replaceChildren();
  newest.hidden = quiet = true;
  stick();
}

/** Draw new and changed messages, and remove those that are gone. */
export function update({ messages, gone }) {
  for (const id of gone) {
    known.get(id)?.node.remove();
    known.delete(id);
  }
  for (const message of messages) {
    const before = known.get(message.id);
    if (!before && message.interaction_metadata?.user.id === server.me) stick();
    const entry = before ?? { node: null, turn: 0 };
    known.set(message.id, entry);
    const fresh = build(message);
    announce(message, entry.message, fresh);
    entry.message = message;
    draw(entry, fresh);
  }
  // A single long message, the welcome, is read from its beginning.
  if (quiet) atEnd = list.children.length > 1;
  if (!atEnd && !quiet && messages.some((message) => known.get(message.id).turn === 1)) newest.hidden = false;
  quiet = false;
  follow();
}

function draw(entry, fresh) {
  const turn = ++entry.turn;
  if (entry.node === null) {
    entry.node = fresh;
    insert(fresh, entry.message);
    return;
  }
  const old = entry.node;
  const loaded = new Map([...old.querySelectorAll("img")].map((image) => [image.src, image]));
  const waiting = [];
  for (const image of fresh.querySelectorAll("img")) {
    const same = loaded.get(image.src);
    if (same) {
      same.alt = image.alt;
      image.replaceWith(same.cloneNode());
    } else waiting.push(image.decode().catch(() => {}));
  }
  const swap = () => {
    if (entry.turn !== turn || !old.isConnected) return;
    const focused = old.contains(document.activeElement) ? document.activeElement.dataset.customId : undefined;
    const open = [...old.querySelectorAll(".covered.open, .spoiler.open")].length > 0;
    old.replaceWith(fresh);
    entry.node = fresh;
    if (open) fresh.querySelectorAll(".reveal, .spoiler:not(.open)").forEach((one) => one.click());
    if (focused) fresh.querySelector(`[data-custom-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    follow();
  };
  if (waiting.length) Promise.race([Promise.all(waiting), new Promise((done) => setTimeout(done, SWAP_MS))]).then(swap);
  else swap();
}

function insert(node, message) {
  const after = [...list.children].reverse().find((one) => one.dataset.at <= message.timestamp && !one.classList.contains("pending"));
  if (after) after.after(node);
  else list.prepend(node);
}

/** Tell readers of the screen about new messages, and about those whose buttons changed: a step in their life. */
function announce(message, before, fresh) {
  const ids = (items) => items.flatMap((item) => [item.custom_id, ...ids(item.components ?? [])]);
  const buttons = (one) => JSON.stringify(ids(one.components));
  if (quiet || (before && buttons(before) === buttons(message))) return;
  const text = fresh.querySelector(".body").innerText;
  said.textContent = `${message.author.username}: ${text.slice(0, 300)}`;
}

function build(message) {
  const mine = Boolean(message.flags & EPHEMERAL), loading = Boolean(message.flags & LOADING);
  const context = { names, server, press: (node, action) => press(message, node, action) };
  const author = el("button", { type: "button", className: "author" }, message.author.username);
  const node = el("li", { className: `message${mine ? " private" : message.pinged ? " pinged" : ""}`, tabIndex: -1,
    data: { id: message.id, at: message.timestamp } },
    origin(message),
    el("div", { className: `avatar${message.author.bot ? " bot" : ""}`, "aria-hidden": "true",
      data: { hue: hue(message.author.id) } }, message.author.bot ? "" : message.author.username[0]),
    el("div", { className: "head" }, author, message.author.bot ? el("span", { className: "app" }, "APP") : null,
      clock(message.timestamp)),
    el("div", { className: "body" }, loading ? thinking(message) : contents(message, context)),
    mine ? privacy(() => api.dismiss(message.id)) : null,
    mine ? null : more(message));
  const people = (event) => userMenu(event, message.author.id);
  author.addEventListener("click", people);
  author.addEventListener("contextmenu", people);
  node.addEventListener("contextmenu", (event) => {
    if (mine || event.target.closest("a, input, textarea, select") || getSelection().toString()) return;
    messageMenu(event, message);
  });
  return node;
}

function more(message) {
  const button = el("button", { type: "button", className: "more", "aria-label": "More", "aria-haspopup": "menu" }, "…");
  button.addEventListener("click", (event) => messageMenu(event, message));
  return button;
}

function thinking(message) {
  return el("div", { className: "thinking" }, el("span", { className: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")),
    `${message.author.username} is thinking…`);
}

function hue(id) {
  return String([...id].reduce((sum, digit) => sum + Number(digit), 0) % 6);
}

function clock(timestamp) {
  const date = new Date(timestamp);
  const today = date.toDateString() === new Date().toDateString();
  return el("time", { dateTime: date.toISOString(), title: FULL.format(date) }, (today ? TIME : DATE).format(date));
}

/** The texts of components, however deep. */
function texts(items) {
  return items.flatMap((item) => [...(item.type === 10 ? [item.content] : []), ...texts(item.components ?? [])]);
}

/** The line above a message: the command that it answers, or the message that it replies to. */
function origin(message) {
  const meta = message.interaction_metadata;
  if (message.message_reference && message.type === 19) {
    const to = message.referenced_message;
    if (!to) return el("div", { className: "origin" }, "Original message was deleted");
    const text = to.content || texts(to.components)[0] || "";
    return el("div", { className: "origin" }, el("span", { className: "mention" }, `@${to.author.username}`), " ",
      ...(text ? line(text, names) : ["Click to see the attachment"]));
  }
  if (!meta?.name) return null;
  return el("div", { className: "origin" }, el("strong", {}, meta.user.username), " used ",
    el("span", { className: "mention" }, `${meta.command_type === 1 ? "/" : ""}${meta.name}`));
}

export function privacy(dismiss) {
  const button = el("button", { type: "button", className: "plain" }, "Dismiss message");
  button.addEventListener("click", dismiss);
  return el("div", { className: "only" }, el("span", { "aria-hidden": "true" }, "👁 "), "Only you can see this · ", button);
}

function contents(message, context) {
  const inEmbeds = new Set(message.embeds.flatMap((embed) => [embed.image?.url, embed.thumbnail?.url])
    .filter((url) => url?.startsWith("attachment://")).map((url) => url.slice(13)));
  const shownElsewhere = message.flags & 32768 ? new Set(message.attachments.map((one) => one.filename)) : inEmbeds;
  const loose = message.attachments.filter((one) => !shownElsewhere.has(one.filename));
  const images = loose.filter((one) => /^image\//.test(one.content_type)), films = loose.filter((one) => /^video\//.test(one.content_type));
  const others = loose.filter((one) => !images.includes(one) && !films.includes(one));
  const hide = (one, node) => (one.filename.startsWith("SPOILER_") ? cover(node) : node);
  return [
    message.content ? el("div", { className: "content" }, markdown(message.content, names)) : null,
    message.edited_timestamp && !message.author.bot ? el("small", {}, "(edited)") : null,
    images.length ? el("div", { className: "gallery", data: { count: images.length } },
      images.map((one) => hide(one, picture(one.url, one.description ?? "", context)))) : null,
    films.map((one) => hide(one, video(one.url, one.description ?? ""))),
    others.map((one) => attachment(one)),
    message.embeds.map((embed) => embedded(embed, message, context)),
    components(message.components, context),
  ];
}

function embedded(embed, message, context) {
  const at = (media) => {
    const file = message.attachments.find((one) => media?.url === `attachment://${one.filename}`);
    return file ? { url: file.url, alt: file.description ?? "" } : media?.url && /^https?:/.test(media.url) ? { url: media.url, alt: "" } : null;
  };
  const image = at(embed.image), thumbnail = at(embed.thumbnail);
  const node = el("div", { className: "embed" },
    thumbnail ? el("div", { className: "thumbnail" }, picture(thumbnail.url, thumbnail.alt, context)) : null,
    embed.author?.name ? el("div", { className: "embed-author" }, embed.author.name) : null,
    embed.title ? el("div", { className: "embed-title" }, embed.url && /^https?:/.test(embed.url)
      ? el("a", { href: embed.url, target: "_blank", rel: "noopener noreferrer" }, markdown(embed.title, names)) : markdown(embed.title, names)) : null,
    embed.description ? el("div", { className: "description" }, markdown(embed.description, names)) : null,
    embed.fields?.length ? el("dl", {}, embed.fields.map((field) => el("div", { className: field.inline ? "inline" : "" },
      el("dt", {}, markdown(field.name, names)), el("dd", {}, markdown(field.value, names))))) : null,
    image ? el("div", { className: "gallery", data: { count: 1 } }, picture(image.url, image.alt, context)) : null,
    embed.footer?.text ? el("div", { className: "footer" }, embed.footer.text) : null);
  if (embed.color !== undefined && embed.color !== null) node.style.borderLeftColor = `#${embed.color.toString(16).padStart(6, "0")}`;
  return node;
}

/** Press a button or choose from a menu of a message. */
async function press(message, node, action) {
  if (node.getAttribute("aria-busy") === "true") return;
  node.setAttribute("aria-busy", "true");
  const answer = await api.act({ ...action, message: message.id });
  node.removeAttribute("aria-busy");
  settle(answer, () => failed(message.id, "This interaction failed"));
}

/** Open the form that an action led to, or say that it failed. */
export function settle(answer, fail) {
  if (answer.state === "form") openForm(answer, settle);
  else if (answer.state !== "done") fail(answer);
}

export function failed(id, text) {
  const body = known.get(id)?.node.querySelector(".body");
  if (!body) return;
  const line = el("p", { className: "wrong", role: "alert" }, text);
  body.append(line);
  setTimeout(() => line.remove(), FAILED_MS);
  follow();
}

/** A line of our own at the end: a command on its way. `done()` removes it, `fail(text)` says what went wrong. */
export function pending(me, title) {
  const body = el("div", { className: "body" }, el("div", { className: "thinking" },
    el("span", { className: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")), "Sending command…"));
  const node = el("li", { className: "message pending", hidden: true },
    el("div", { className: "origin" }, el("strong", {}, me), " used ", el("span", { className: "mention" }, title)),
    el("div", { className: "avatar bot", "aria-hidden": "true" }), el("div", { className: "head" },
      el("span", { className: "author" }, server.bot.name), el("span", { className: "app" }, "APP")), body);
  const late = setTimeout(() => { node.hidden = false; follow(); }, 250);
  list.append(node);
  stick();
  follow();
  return {
    done: () => { clearTimeout(late); node.remove(); },
    fail: (text) => {
      clearTimeout(late);
      node.hidden = false;
      node.dataset.at = new Date().toISOString();
      node.classList.remove("pending");
      body.replaceChildren(el("p", { className: "wrong", role: "alert" }, text));
      node.append(privacy(() => node.remove()));
      follow();
    },
  };
}

const away = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight;

/** Go to the end with the next messages, wherever the reader is. */
function stick() {
  atEnd = true;
  stood = 0;
}

/** Stay at the end, unless the reader has just scrolled up: the event of that may still be on its way. */
function follow() {
  if (scroll.scrollTop < stood - NEAR_PX && away() > NEAR_PX) atEnd = false;
  if (!atEnd) return;
  scroll.scrollTop = scroll.scrollHeight;
  stood = scroll.scrollTop;
}

// Content that grew since also leaves the end behind: only who is higher than before has scrolled up.
scroll.addEventListener("scroll", () => {
  if (away() < NEAR_PX) {
    atEnd = true;
    newest.hidden = true;
  } else if (scroll.scrollTop < stood) atEnd = false;
  if (!atEnd) stood = 0;
});
newest.addEventListener("click", () => {
  stick();
  newest.hidden = true;
  follow();
});
new ResizeObserver(follow).observe(list);
new ResizeObserver(follow).observe(scroll);

// The page: who and where, and the stream of changes.
import * as api from "./api.js";
import { reset } from "./composer.js";
import { byId, el } from "./dom.js";
import { begin, clear, update } from "./messages.js";
import { remember } from "./server.js";

const ROLES = { member: "a member", admin: "manages the server", host: "runs the bot" };
const viewer = byId("viewer"), channels = byId("channels"), drawer = byId("drawer");
let wanted = null;

function hear(news) {
  if (news.channel) furnish(news.server, news.channel);
  else if (news.server) list(news.server);
  if (news.messages) update(news);
  if (news.channel && wanted) revealSteadily(wanted);
  if (news.channel) wanted = null;
}

/** Bring a message of a channel that was just opened into sight: its pictures still change its height. */
async function revealSteadily(message) {
  await Promise.all([...byId("messages").querySelectorAll("img")].map((image) => image.decode().catch(() => {})));
  reveal(message);
}

/** Bring a message into sight. */
function reveal(message) {
  const target = document.querySelector(`#messages > li[data-id="${message}"]`);
  target?.focus({ preventScroll: true });
  target?.scrollIntoView({ block: "center" });
}

addEventListener("jump", ({ detail: { channel, message } }) => {
  if (channel === api.place.channel) reveal(message);
  else {
    wanted = message;
    go({ channel });
  }
});

function furnish(server, channel) {
  const moved = api.place.as !== server.me || api.place.channel !== channel;
  remember(server);
  api.move({ as: server.me, channel });
  byId("server").textContent = server.name;
  const here = [...server.channels, ...(server.elsewhere?.channels ?? [])].find((one) => one.id === channel);
  const title = here ? `#${here.name}` : server.direct.name;
  byId("channel").textContent = title.replace("#", "# ");
  byId("empty").textContent = `Nothing has been said in ${title} yet. Describe a picture below, or type / to see all commands.`;
  document.title = `${title} · Reverie`;
  viewer.replaceChildren(...server.people.map((one) =>
    el("option", { value: one.id, selected: one.id === server.me }, `${one.name} – ${ROLES[one.role]}`)));
  list(server);
  begin(server);
  reset({ keep: !moved });
}

/** The channels and the direct messages, with a mark on those that have something new. */
function list(server) {
  const focused = channels.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  const entry = (one, name) => el("li", {}, el("button", {
    type: "button", className: one.unread ? "unread" : "", data: { id: one.id }, onclick: () => go({ channel: one.id }),
    "aria-current": one.id === api.place.channel ? "page" : undefined,
    "aria-label": one.unread ? `${name}, unread` : undefined,
  }, name));
  channels.replaceChildren(...server.channels.map((one) => entry(one, `# ${one.name}`)));
  const heading = (text) => el("li", { className: "heading" }, text);
  if (server.elsewhere) {
    channels.append(heading(`${server.elsewhere.name}, without ${server.bot.name}`));
    channels.append(...server.elsewhere.channels.map((one) => entry(one, `# ${one.name}`)));
  }
  if (server.direct) channels.append(heading("Direct messages"), entry(server.direct, server.direct.name));
  const unread = Boolean(channels.querySelector(".unread"));
  drawer.classList.toggle("unread", unread);
  drawer.setAttribute("aria-label", unread ? "Channels, unread" : "Channels");
  if (focused) channels.querySelector(`[data-id="${focused}"]`)?.focus();
}

function go(to) {
  api.move(to);
  byId("empty").textContent = "";
  clear();
  shut();
  start();
}

function shut() {
  document.body.classList.remove("drawn");
  drawer.setAttribute("aria-expanded", "false");
}

function start() {
  api.follow(hear, (lost) => { byId("connection").hidden = !lost; });
}

viewer.addEventListener("change", () => go({ as: viewer.value }));
drawer.addEventListener("click", () => {
  const drawn = document.body.classList.toggle("drawn");
  drawer.setAttribute("aria-expanded", String(drawn));
  if (drawn) channels.querySelector("button")?.focus();
});
addEventListener("keydown", (event) => { if (event.key === "Escape") shut(); });
byId("scroll").addEventListener("click", shut);
start();

// The page: who and where, and the stream of changes.
import * as api from "./api.js";
import { reset } from "./composer.js";
import { byId, el } from "./dom.js";
import { begin, clear, update } from "./messages.js";
import { remember } from "./server.js";

const ROLES = { member: "a member", admin: "manages the server", host: "runs the bot" };
const viewer = byId("viewer"), channels = byId("channels"), drawer = byId("drawer");

function hear(news) {
  if (news.server) furnish(news.server, news.channel);
  update(news);
}

function furnish(server, channel) {
  const moved = api.place.as !== server.me || api.place.channel !== channel;
  remember(server);
  api.move({ as: server.me, channel });
  byId("server").textContent = server.name;
  const here = server.channels.find((one) => one.id === channel);
  byId("channel").textContent = `# ${here.name}`;
  document.title = `#${here.name} · Reverie`;
  viewer.replaceChildren(...server.people.map((one) =>
    el("option", { value: one.id, selected: one.id === server.me }, `${one.name} – ${ROLES[one.role]}`)));
  channels.replaceChildren(...server.channels.map((one) => el("li", {}, el("button", {
    type: "button", "aria-current": one.id === channel ? "page" : undefined, onclick: () => go({ channel: one.id }),
  }, `# ${one.name}`))));
  begin(server);
  reset({ keep: !moved });
}

function go(to) {
  api.move(to);
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

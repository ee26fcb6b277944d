// The connection to the server: who and where we are, the stream of changes, and actions.
const query = new URLSearchParams(location.search);
export const place = { as: query.get("as") ?? "", channel: query.get("channel") ?? "" };

let stream = null;

/** Follow the channel as this person; `hear` gets each change, `lost` true when the connection breaks. */
export function follow(hear, lost) {
  stream?.close();
  stream = new EventSource(`/events?${new URLSearchParams(place)}`);
  stream.onmessage = (event) => {
    lost(false);
    hear(JSON.parse(event.data));
  };
  stream.onerror = () => lost(true);
}

export function move(to) {
  Object.assign(place, to);
  const here = `?${new URLSearchParams(place)}`;
  if (location.search !== here) history.replaceState(null, "", here);
}

export async function commands() {
  return (await fetch(`/commands?${new URLSearchParams(place)}`)).json();
}

async function post(path, body) {
  try {
    const headers = body instanceof FormData ? {} : { "Content-Type": "application/json" };
    const response = await fetch(path, { method: "POST", headers, body });
    return response.ok ? await response.json() : { state: "refused" };
  } catch {
    return { state: "late" };
  }
}

/** Act as this person here; `files` are lists of files by the name of their option or field. */
export function act(action, files = {}) {
  const json = JSON.stringify({ ...place, ...action });
  if (!Object.values(files).some((list) => list.length)) return post("/act", json);
  const form = new FormData();
  form.append("action", json);
  for (const [name, list] of Object.entries(files)) for (const file of list) form.append(name, file, file.name);
  return post("/act", form);
}

export const dismiss = (message) => post("/dismiss", JSON.stringify({ ...place, message }));

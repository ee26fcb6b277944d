// Appended to the preview's page: its relative times (all that Reverie writes) run on by themselves, as Discord's do.
const wording = new Intl.RelativeTimeFormat("en-US", { numeric: "auto" });
setInterval(() => {
  for (const time of document.querySelectorAll("time.discord-timestamp")) {
    const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
    const [unit, size] = Math.abs(seconds) < 60 ? ["second", 1] : Math.abs(seconds) < 3600 ? ["minute", 60]
      : Math.abs(seconds) < 86400 ? ["hour", 3600] : ["day", 86400];
    time.textContent = wording.format(Math.round(seconds / size), unit);
  }
}, 1000);

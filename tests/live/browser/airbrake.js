// Airbrake's client for browsers, from a page of another origin: its own handler reports what nobody catches.
import { Notifier } from "LIVE_PACKAGE";
import shop from "../node/shop.js";

const live = Object.fromEntries(new URLSearchParams(location.search));
const airbrake = new Notifier({
    projectId: Number(live.LIVE_PROJECT),
    projectKey: live.LIVE_KEY,
    environment: live.LIVE_ENVIRONMENT,
    host: live.LIVE_URL,
    remoteConfigHost: live.LIVE_URL,
});
airbrake.addFilter((notice) => {
    notice.context.version = live.LIVE_RELEASE;
    notice.context.user = { id: "ada-7", email: "ada@shop.example" };
    notice.params.shelf = "north-7";
    return notice;
});
console.info("basket opened"); // it keeps what is written to the console as history
airbrake.notify(live.LIVE_NOTE);
document.querySelector("button").addEventListener("click", () => shop.charge(live.LIVE_MESSAGE));
document.querySelector("button").click();

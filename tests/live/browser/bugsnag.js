// Bugsnag's client for browsers, from a page of another origin: its own handler reports what nobody catches.
import Bugsnag from "LIVE_PACKAGE";
import shop from "../node/shop.js";

const live = Object.fromEntries(new URLSearchParams(location.search));
Bugsnag.start({
    apiKey: live.LIVE_KEY,
    appVersion: live.LIVE_RELEASE,
    releaseStage: live.LIVE_ENVIRONMENT,
    endpoints: { notify: `${live.LIVE_URL}/notify`, sessions: `${live.LIVE_URL}/sessions` },
    logger: null,
});
Bugsnag.setUser("ada-7", "ada@shop.example", "Ada");
Bugsnag.addMetadata("stock", { shelf: "north-7" });
Bugsnag.leaveBreadcrumb("basket opened", { items: 3 });
Bugsnag.notify(live.LIVE_NOTE);
document.querySelector("button").addEventListener("click", () => shop.charge(live.LIVE_MESSAGE));
document.querySelector("button").click();

// Sentry's client for browsers, from a page of another origin: its own handler reports what nobody catches.
import * as Sentry from "LIVE_PACKAGE";
import shop from "../node/shop.js";

const live = Object.fromEntries(new URLSearchParams(location.search));
Sentry.init({ dsn: live.LIVE_DSN, release: live.LIVE_RELEASE, environment: live.LIVE_ENVIRONMENT });
Sentry.setUser({ id: "ada-7", email: "ada@shop.example" });
Sentry.setTag("shelf", "north-7");
Sentry.addBreadcrumb({ category: "basket", message: "basket opened", level: "info", data: { items: 3 } });
Sentry.captureMessage(live.LIVE_NOTE, "warning");
document.querySelector("button").addEventListener("click", () => shop.charge(live.LIVE_MESSAGE));
document.querySelector("button").click();

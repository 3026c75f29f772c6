// Sentry's client for Node, in any version: its own handler reports what nobody catches.
const Sentry = require(process.env.LIVE_PACKAGE);
const { charge } = require("./shop.js");

Sentry.init({
    dsn: process.env.LIVE_DSN,
    release: process.env.LIVE_RELEASE,
    environment: process.env.LIVE_ENVIRONMENT,
});
Sentry.setUser({ id: "ada-7", email: "ada@shop.example" });
Sentry.setTag("shelf", "north-7");
Sentry.setExtra("weight", { kilograms: 12 });
Sentry.addBreadcrumb({ category: "basket", message: "basket opened", level: "info", data: { items: 3 } });
Sentry.captureMessage(process.env.LIVE_NOTE, "warning");
Sentry.flush(5000).then(() => setImmediate(() => charge(process.env.LIVE_MESSAGE)));

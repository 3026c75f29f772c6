// Bugsnag's client for Node: its own handler reports what nobody catches.
const Bugsnag = require(process.env.LIVE_PACKAGE);
const { charge } = require("./shop.js");

Bugsnag.start({
    apiKey: process.env.LIVE_KEY,
    appVersion: process.env.LIVE_RELEASE,
    releaseStage: process.env.LIVE_ENVIRONMENT,
    endpoints: { notify: `${process.env.LIVE_URL}/notify`, sessions: `${process.env.LIVE_URL}/sessions` },
    logger: null,
});
Bugsnag.setUser("ada-7", "ada@shop.example", "Ada");
Bugsnag.addMetadata("stock", { shelf: "north-7" });
Bugsnag.leaveBreadcrumb("basket opened", { items: 3 });
Bugsnag.notify(process.env.LIVE_NOTE, null, () => charge(process.env.LIVE_MESSAGE));

// The client for Node that came before Airbrake's own.
const airbrake = require(process.env.LIVE_PACKAGE).createClient(
    process.env.LIVE_PROJECT,
    process.env.LIVE_KEY,
    process.env.LIVE_ENVIRONMENT,
);
const { charge } = require("./shop.js");

airbrake.serviceHost = new URL(process.env.LIVE_URL).host;
airbrake.protocol = "http";
airbrake.appVersion = process.env.LIVE_RELEASE;
try {
    charge(process.env.LIVE_MESSAGE);
} catch (error) {
    error.params = { shelf: "north-7" };
    airbrake.notify(error, (trouble) => process.exit(trouble ? (console.error(trouble), 1) : 0));
}

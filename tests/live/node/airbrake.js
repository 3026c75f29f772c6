// Airbrake's client for Node.
const { Notifier } = require(process.env.LIVE_PACKAGE);
const { charge } = require("./shop.js");

const airbrake = new Notifier({
    projectId: Number(process.env.LIVE_PROJECT),
    projectKey: process.env.LIVE_KEY,
    environment: process.env.LIVE_ENVIRONMENT,
    host: process.env.LIVE_URL,
    apmHost: process.env.LIVE_URL,
    remoteConfigHost: process.env.LIVE_URL,
});
airbrake.addFilter((notice) => {
    notice.context.version = process.env.LIVE_RELEASE;
    notice.context.user = { id: "ada-7", email: "ada@shop.example" };
    notice.params.shelf = "north-7";
    return notice;
});
console.info("basket opened"); // it keeps what is written to the console as history

async function run() {
    await airbrake.notify(process.env.LIVE_NOTE);
    try {
        charge(process.env.LIVE_MESSAGE);
    } catch (error) {
        const notice = await airbrake.notify(error);
        if (notice.error) throw notice.error;
    }
    process.exit();
}
run();

import { payForCart } from "./cart.js";

const greeting = "🛒 ready";

function onCheckout(cart) {
  return payForCart(cart);
}

globalThis.checkout = onCheckout;
globalThis.greeting = greeting;

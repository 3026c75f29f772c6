// A shopping cart, as small as one can be.
import { readPrice } from "./price.js";

export class PaymentDeclined extends Error {
  constructor(reason) {
    super(reason);
    this.name = "PaymentDeclined";
  }
}

export function chargeCard(card, amount) {
  if (!card) {
    throw new PaymentDeclined("no card for " + amount);
  }
  return { card, amount };
}

const sumOfPrices = (items) => items.reduce((sum, item) => sum + readPrice(item), 0);

export function payForCart(cart) {
  const amount = sumOfPrices(cart.items);
  return chargeCard(cart.card, amount);
}

"""The shop: what can go wrong between a cart and its payment."""


class PaymentDeclined(Exception):
    pass


class CheckoutError(Exception):
    pass


class Cart:
    class Empty(Exception):
        """An exception whose class is inside of another one."""


def charge(card):
    raise PaymentDeclined("card %s declined by issuer (code 51)" % card)


def checkout(card):
    charge(card)


def parse_amount(text):
    return int(text)


def charge_from_text(text):
    try:
        return parse_amount(text)
    except ValueError as error:
        raise PaymentDeclined("amount %s is none" % text) from error


def checkout_from_text(text):
    try:
        charge_from_text(text)
    except PaymentDeclined as error:
        raise CheckoutError("checkout of cart 4711 failed") from error


def checkout_with_log(card):
    try:
        charge(card)
    except PaymentDeclined:
        write_log(None)


def write_log(log):
    log.write("declined")


def descend(depth):
    if depth == 0:
        raise RecursionError("no end in sight")
    descend(depth - 1)


def ping(depth):
    if depth == 0:
        charge(4000)
    pong(depth - 1)


def pong(depth):
    ping(depth)


def handle_deeper(depth):
    try:
        charge(depth)
    except PaymentDeclined:
        if depth:
            handle_deeper(depth - 1)
        raise


def in_closure(card):
    def inner():
        return (lambda: [charge(each) for each in [card]])()

    inner()


def positions(cards):
    for card in cards:
        yield checkout(card)


def in_generator():
    list(positions([1]))


async def charge_later(card):
    charge(card)


async def checkout_later(card):
    await charge_later(card)


def in_coroutine():
    # Driven by hand: a loop would bring frames of the library.
    checkout_later(4000).send(None)


def long_call():
    charge(
        "4000"
        + str(
            1,
        ),
    )


def multi_line_message():
    raise CheckoutError(
        "Zahlung über 47,11 € abgelehnt 💥\n"
        "  Grund: 日本語のメッセージ\n"
        "\n"
        "Bitte: noch einmal"
    )


def no_message():
    raise PaymentDeclined


def empty_cart():
    raise Cart.Empty("cart 4711: nothing in it: really")


def bad_code():
    compile("total = 1 +\n", "/srv/shop/app/rules.py", "exec")


def generated_code():
    exec(compile("import shop\n\ndef rule():\n    shop.charge(7)\n\nrule()\n", "<rules>", "exec"), {})

"""Several errors at once: needs Python 3.11."""

from shop import CheckoutError, PaymentDeclined, charge, charge_from_text


def caught(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return error


def pay_all():
    raise ExceptionGroup("two of two payments failed", [caught(charge, 1), caught(charge_from_text, "a\nb")])


def pay_nested():
    inner = caught(pay_all)
    raise ExceptionGroup("the night's run", [inner, caught(charge, 3), ValueError("never raised\nin two lines")])


def checkout_all():
    try:
        pay_all()
    except ExceptionGroup as group:
        raise CheckoutError("checkout of all carts failed") from group


def group_after_error():
    try:
        charge(1)
    except PaymentDeclined as error:
        raise ExceptionGroup("all that went wrong", [caught(charge, 2)]) from error


def many():
    raise ExceptionGroup("many", [caught(charge, n) for n in range(20)])


def with_notes():
    try:
        charge(1)
    except PaymentDeclined as error:
        error.add_note("of customer 42")
        error.add_note("in the second\ntry")
        raise

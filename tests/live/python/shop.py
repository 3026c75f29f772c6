"""What the Python programs have in common: an error with a cause."""

import time


class BankUnreachable(Exception):
    pass


class PaymentDeclined(Exception):
    pass


def ask_bank():
    raise BankUnreachable("no answer within 3 s")


def charge(message):
    try:
        ask_bank()
    except BankUnreachable as cause:
        print("raised", int(time.time() * 1000), flush=True)
        raise PaymentDeclined(message) from cause  # it is raised here

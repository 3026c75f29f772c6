<?php

// What can go wrong between a cart and its payment.

namespace Shop;

class PaymentDeclined extends \Exception {}

class CheckoutError extends \RuntimeException {}

class Cart
{
    private array $items = ['book'];

    public function charge(int $card, string $note = '', ...$more): void
    {
        throw new PaymentDeclined("card $card declined by issuer (code 51)", 51);
    }

    public function checkout(Cart $cart, array $options, ?string $none, float $amount): void
    {
        $this->charge(4000, "a note that is rather long, and has \"quotes\" and 'more'");
    }

    public static function open(callable $call): void
    {
        $call(new self());
    }

    public function __call(string $name, array $arguments): void
    {
        $this->charge(1);
    }

    public function each(): void
    {
        array_map(function (string $item) {
            $this->charge(strlen($item), "first\nsecond");
        }, $this->items);
    }
}

function amount(string $text): int
{
    if (!is_numeric($text)) {
        throw new \InvalidArgumentException("'$text' is no number: none");
    }

    return (int) $text;
}

function in_words(): void
{
    try {
        amount('twelve');
    } catch (\InvalidArgumentException $error) {
        throw new PaymentDeclined('amount is no number', 0, $error);
    }
}

function nested(): void
{
    try {
        in_words();
    } catch (PaymentDeclined $error) {
        throw new CheckoutError('checkout of cart 4711 failed', 0, $error);
    }
}

function simple(): void
{
    (new Cart())->checkout(new Cart(), ['a' => 1], null, 47.11);
}

function in_closure(): void
{
    Cart::open(static fn (Cart $cart) => $cart->charge(7));
}

function in_each(): void
{
    (new Cart())->each();
}

function magic(): void
{
    (new Cart())->refund(4711, 'now');
}

function multi_line(): void
{
    throw new CheckoutError("Zahlung über 47,11 € abgelehnt 💥\n  Grund: 日本語\n\nBitte: noch in einmal");
}

function no_message(): void
{
    throw new CheckoutError();
}

function descend(int $depth): void
{
    if ($depth === 0) {
        throw new \LogicException('no end in sight');
    }
    descend($depth - 1);
}

function recursion(): void
{
    descend(30);
}

function type_error(): void
{
    amount([]);
}

function division(): void
{
    echo intdiv(1, 0);
}

function generated(): void
{
    $numbers = (function () {
        yield amount('none');
    })();
    foreach ($numbers as $number) {
        echo $number;
    }
}

function evaluated(): void
{
    eval("\n\\Shop\\amount('x');");
}

function anonymous(): void
{
    throw new class ('of no name') extends PaymentDeclined {};
}

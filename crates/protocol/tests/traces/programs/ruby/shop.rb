# What can go wrong between a cart and its payment.
module Shop
  class PaymentDeclined < StandardError; end
  class CheckoutError < StandardError; end

  # An error whose message is empty.
  class Silent < StandardError
    def message
      ""
    end
  end

  class Cart
    def initialize(card)
      @card = card
    end

    def self.open(card)
      yield new(card)
    end

    def charge
      raise PaymentDeclined, "card #{@card} declined by issuer (code 51)"
    end

    def checkout
      charge
    end

    def each_item
      [1].each { |_item| charge }
    end
  end

  def self.simple
    Cart.new(4000).checkout
  end

  def self.amount(text)
    Integer(text)
  end

  def self.in_words
    amount("twelve")
  rescue ArgumentError
    raise PaymentDeclined, "amount is no number"
  end

  def self.nested
    in_words
  rescue PaymentDeclined
    raise CheckoutError, "checkout of cart 4711 failed"
  end

  def self.in_block
    Cart.open(7) { |cart| cart.each_item }
  end

  def self.in_lambda
    ->(card) { Cart.new(card).charge }.call(8)
  end

  def self.multi_line
    raise CheckoutError, "Zahlung über 47,11 € abgelehnt 💥\n  Grund: 日本語\n\nBitte: noch einmal"
  end

  def self.multi_line_nested
    multi_line
  rescue CheckoutError
    raise PaymentDeclined, "a\nb"
  end

  def self.no_message
    raise Silent
  end

  def self.plain_class
    raise CheckoutError
  end

  def self.descend(depth)
    raise "no end in sight" if depth.zero?

    descend(depth - 1)
  end

  def self.recursion
    descend(60)
  end

  def self.overflow
    overflow
  end

  def self.misspelt
    Cart.new(1).chekout
  end

  def self.evaluated
    eval("Cart.new(9).charge", binding, "(rules)", 3)
  end

  def self.in_method_missing
    define_singleton_method(:made) { Cart.new(5).charge }
    made
  end
end

// What can go wrong between a cart and its payment, in Kotlin: java -cp shop.jar shop.ShopKt SCENARIO
package shop

class PaymentDeclined(message: String, cause: Throwable? = null) : Exception(message, cause)

class Cart(private val card: Int) {
    fun charge(note: String = "none"): Nothing = throw PaymentDeclined("card $card declined by issuer (code 51): $note")

    fun `charge it twice`() {
        charge()
    }

    companion object {
        fun open(call: (Cart) -> Unit) = call(Cart(7))
    }

    val total: Int
        get() = "none".toInt()
}

fun String.pay() {
    Cart(length).charge(this)
}

fun nested() {
    try {
        Cart(1).total
    } catch (error: NumberFormatException) {
        throw PaymentDeclined("amount is no number", error)
    }
}

fun main(arguments: Array<String>) {
    when (arguments[0]) {
        "extension" -> "book".pay()
        "named" -> Cart(4000).`charge it twice`()
        "closure" -> Cart.open { cart -> listOf("book").map { cart.charge(it) } }
        "nested" -> nested()
    }
}

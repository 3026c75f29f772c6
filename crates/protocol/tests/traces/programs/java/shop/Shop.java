package shop;

import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;

/** What can go wrong between a cart and its payment. */
final class Shop {
    static class PaymentDeclined extends Exception {
        PaymentDeclined(String message) {
            super(message);
        }

        PaymentDeclined(String message, Throwable cause) {
            super(message, cause);
        }
    }

    static final class CheckoutError extends RuntimeException {
        CheckoutError(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** An error that says what it is in its own way. */
    static final class Odd extends RuntimeException {
        @Override
        public String toString() {
            return "an odd error [code 51]";
        }
    }

    /** A connection that cannot even be closed. */
    static final class Line implements AutoCloseable {
        @Override
        public void close() {
            throw new IllegalStateException("the line is closed already", new ArithmeticException("beyond\nzero"));
        }
    }

    static void charge(String card) throws PaymentDeclined {
        throw new PaymentDeclined("card " + card + " declined by issuer (code 51)");
    }

    static int amount(String text) {
        return Integer.parseInt(text);
    }

    static void checkout() throws Exception {
        charge("4000");
    }

    static void nested() throws Exception {
        try {
            inWords();
        } catch (PaymentDeclined error) {
            throw new CheckoutError("checkout of cart 4711 failed", error);
        }
    }

    static void inWords() throws PaymentDeclined {
        try {
            amount("twelve");
        } catch (NumberFormatException error) {
            throw new PaymentDeclined("amount is no number", error);
        }
    }

    static void suppressed() throws Exception {
        try (Line first = new Line(); Line second = new Line()) {
            charge("4001");
        }
    }

    static void suppressedAndCause() throws Exception {
        try {
            suppressed();
        } catch (PaymentDeclined error) {
            throw new CheckoutError("all went wrong", error);
        }
    }

    static void descend(int depth) {
        if (depth == 0) {
            throw new IllegalArgumentException("no end in sight");
        }
        descend(depth - 1);
    }

    static void recursion() {
        descend(60);
    }

    static void overflow() {
        overflow();
    }

    static void lambda() {
        Function<String, Integer> read = text -> amount(text);
        List.of("1", "two").forEach(text -> read.apply(text));
    }

    static void thread() throws Exception {
        ExecutorService pool = Executors.newSingleThreadExecutor();
        try {
            Callable<Void> task = () -> {
                charge("4002");
                return null;
            };
            pool.submit(task).get();
        } finally {
            pool.shutdown();
        }
    }

    static void reflected() throws Exception {
        Shop.class.getDeclaredMethod("checkout").invoke(null);
    }

    static void multiLine() {
        throw new IllegalStateException("Zahlung über 47,11 € abgelehnt 💥\n  Grund: 日本語\n\nBitte: noch einmal");
    }

    static void noMessage() {
        String card = null;
        throw new UnsupportedOperationException(card);
    }

    static void odd() {
        throw new Odd();
    }

    static void circular() {
        Exception one = new Exception("one");
        Exception two = new Exception("two", one);
        one.initCause(two);
        throw new CheckoutError("round and round", one);
    }

    static void inConstructor() {
        new Object() {
            {
                amount("none");
            }
        };
    }

    static class Stackless extends RuntimeException {
        Stackless(Throwable cause) {
            super("without a stack", cause, false, false);
        }
    }

    static void stackless() {
        try {
            amount("x");
        } catch (NumberFormatException error) {
            throw new Stackless(error);
        }
    }
}

package shop;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

/** Writes the trace of each scenario, and beside it what the live exception says: {@code java shop.Main FOLDER SCENARIO...} */
public final class Main {
    public static void main(String[] arguments) throws Exception {
        for (int at = 1; at < arguments.length; at++) {
            Throwable error = caught(arguments[at]);
            StringWriter text = new StringWriter();
            error.printStackTrace(new PrintWriter(text));
            Path folder = Path.of(arguments[0]);
            Files.writeString(folder.resolve(arguments[at] + ".txt"), text.toString());
            StringBuilder out = new StringBuilder();
            describe(error, null, out, Collections.newSetFromMap(new IdentityHashMap<>()));
            Files.writeString(
                    folder.resolve(arguments[at] + ".json"),
                    "{\"language\": \"java\", \"errors\": [\n" + out + "\n]}\n");
        }
    }

    private static Throwable caught(String scenario) throws Exception {
        try {
            Shop.class.getDeclaredMethod(scenario).invoke(null);
        } catch (InvocationTargetException error) {
            return error.getCause();
        }
        throw new IllegalStateException(scenario + " went well");
    }

    private static void describe(Throwable error, String source, StringBuilder out, Set<Throwable> seen) {
        if (!seen.add(error)) {
            return;
        }
        StackTraceElement[] frames = error.getStackTrace();
        boolean isOdd = error instanceof Shop.Odd;
        if (out.length() > 0) {
            out.append(",\n");
        }
        out.append("  {\"class\": ").append(isOdd ? "null" : quoted(error.getClass().getName()));
        out.append(", \"message\": ").append(quoted(isOdd ? error.toString() : error.getLocalizedMessage()));
        out.append(", \"source\": ").append(quoted(source));
        out.append(", \"frame_count\": ").append(frames.length);
        out.append(",\n   \"top\": ").append(frames.length == 0 ? "null" : frame(frames[0]));
        out.append(",\n   \"bottom\": ").append(frames.length == 0 ? "null" : frame(frames[frames.length - 1])).append("}");
        if (error.getCause() != null) {
            describe(error.getCause(), "cause", out, seen);
        }
        for (Throwable suppressed : error.getSuppressed()) {
            describe(suppressed, "suppressed", out, seen);
        }
    }

    private static String frame(StackTraceElement frame) {
        String line = frame.getLineNumber() < 0 ? "null" : String.valueOf(frame.getLineNumber());
        boolean isKnown = frame.getFileName() != null && !frame.isNativeMethod();
        return "{\"file\": " + (isKnown ? quoted(frame.getFileName()) : "null") + ", \"line\": " + line
                + ", \"function\": " + quoted(frame.getClassName() + "." + frame.getMethodName()) + "}";
    }

    private static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + '"';
    }
}

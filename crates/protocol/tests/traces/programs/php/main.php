<?php

// Writes the trace of each scenario, and beside it what the live error says: php main.php FOLDER SCENARIO...

require __DIR__ . '/shop.php';

/** Where it was thrown, then where each call was made, each with the function that the place is in. */
function places(Throwable $error): array
{
    $places = [];
    $file = $error->getFile();
    $line = $error->getLine();
    foreach ($error->getTrace() as $call) {
        $places[] = [
            'file' => $file,
            'line' => $line,
            'function' => ($call['class'] ?? '') . ($call['type'] ?? '') . $call['function'],
        ];
        $file = $call['file'] ?? null;
        $line = $call['line'] ?? null;
    }
    $places[] = ['file' => $file, 'line' => $line, 'function' => '{main}'];

    return $places;
}

function describe(Throwable $error, ?string $source): array
{
    $places = places($error);
    $errors = [[
        'class' => get_class($error),
        'message' => $error->getMessage() === '' ? null : $error->getMessage(),
        'source' => $source,
        'frame_count' => count($places),
        'top' => $places[0],
        'bottom' => end($places),
    ]];
    $cause = $error->getPrevious();

    return $cause ? array_merge($errors, describe($cause, 'cause')) : $errors;
}

/** The form that OpenTelemetry's library for PHP gives: after Java's. */
function like_java(Throwable $error, array $enclosing = []): string
{
    $named = fn (string $name) => strtr($name, ['\\' => '.', '->' => '.', '::' => '.']);
    $frames = array_map(
        fn ($place) => $named($place['function'])
            . ($place['file'] ? '(' . basename($place['file']) . ':' . $place['line'] . ')' : '(Unknown Source)'),
        places($error),
    );
    $common = 0;
    while ($common < min(count($frames), count($enclosing))
        && $frames[count($frames) - 1 - $common] === $enclosing[count($enclosing) - 1 - $common]) {
        $common++;
    }
    $text = $named(get_class($error)) . ($error->getMessage() === '' ? '' : ': ' . $error->getMessage());
    foreach (array_slice($frames, 0, count($frames) - $common) as $frame) {
        $text .= "\n\tat $frame";
    }
    $text .= $common ? "\n\t... $common more" : '';

    return $error->getPrevious() ? $text . "\nCaused by: " . like_java($error->getPrevious(), $frames) : $text;
}

function as_told_like_java(array $error): array
{
    $named = fn (string $name) => strtr($name, ['\\' => '.', '->' => '.', '::' => '.']);
    $error['class'] = $named($error['class']);
    foreach (['top', 'bottom'] as $place) {
        $error[$place]['function'] = $named($error[$place]['function']);
        $error[$place]['file'] = $error[$place]['file'] ? basename($error[$place]['file']) : null;
    }

    return $error;
}

function write(string $path, string $text, array $errors): void
{
    file_put_contents("$path.txt", "$text\n");
    $flags = JSON_PRETTY_PRINT | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES;
    file_put_contents("$path.json", json_encode(['language' => 'php', 'errors' => $errors], $flags) . "\n");
}

foreach (array_slice($argv, 2) as $name) {
    try {
        "Shop\\$name"();
    } catch (Throwable $error) {
        write("$argv[1]/$name", (string) $error, describe($error, null));
        $alone = describe($error, null)[0];
        if ($name === 'simple') {
            $trace_only = ['class' => null, 'message' => null] + $alone;
            $trace_only['top']['file'] = $trace_only['top']['line'] = null;
            write("$argv[1]/{$name}_trace_only", $error->getTraceAsString(), [$trace_only]);
        }
        if (in_array($name, ['simple', 'nested', 'in_each', 'multi_line'])) {
            write("$argv[1]/{$name}_like_java", like_java($error), array_map('as_told_like_java', describe($error, null)));
        }
    }
}

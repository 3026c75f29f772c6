"""Writes the trace of each scenario, and beside it what the live exception says.

    python3 main.py FOLDER PREFIX SCENARIO...
"""

import json
import sys
import traceback

import shop

try:
    import groups
except SyntaxError:
    groups = None


def frames_of(error):
    frames = []
    at = error.__traceback__
    while at:
        frames.append({"file": at.tb_frame.f_code.co_filename, "line": at.tb_lineno, "function": at.tb_frame.f_code.co_name})
        at = at.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        frames.append({"file": error.filename, "line": error.lineno, "function": None})
    return frames[::-1]


def describe(error, source, out, seen):
    if id(error) in seen:
        return
    seen.add(id(error))
    frames = frames_of(error)
    kind = type(error)
    whole = kind.__qualname__ if kind.__module__ == "builtins" else kind.__module__ + "." + kind.__qualname__
    module, _, name = whole.rpartition(".")
    message = str(error)
    if isinstance(error, SyntaxError):
        message = error.msg
    if hasattr(error, "exceptions"):
        message = "%s (%d sub-exception%s)" % (error.message, len(error.exceptions), "s" if len(error.exceptions) > 1 else "")
    message = "\n".join([message, *getattr(error, "__notes__", [])])
    out.append({
        "class": name,
        "module": module or None,
        "message": message or None,
        "source": source,
        "frame_count": len(frames),
        "top": frames[0] if frames else None,
        "bottom": frames[-1] if frames else None,
    })
    if error.__cause__ is not None:
        describe(error.__cause__, "cause", out, seen)
    elif error.__context__ is not None and not error.__suppress_context__:
        describe(error.__context__, "context", out, seen)
    for member in getattr(error, "exceptions", ())[:15]:
        describe(member, "member", out, seen)


def main(folder, prefix, names):
    for name in names:
        scenario = getattr(shop, name, None) or getattr(groups, name)
        arguments = {
            "checkout": (4000,), "checkout_from_text": ("12,5\nEUR",), "checkout_with_log": (4000,), "descend": (200,),
            "ping": (3,), "handle_deeper": (3,), "in_closure": (4000,),
        }.get(name, ())
        try:
            scenario(*arguments)
        except BaseException as error:
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            errors = []
            describe(error, None, errors, set())
        with open("%s/%s%s.txt" % (folder, prefix, name), "w", encoding="utf-8") as file:
            file.write(text)
        with open("%s/%s%s.json" % (folder, prefix, name), "w", encoding="utf-8") as file:
            json.dump({"language": "python", "errors": errors}, file, indent=2, ensure_ascii=False)
            file.write("\n")


main(sys.argv[1], sys.argv[2], sys.argv[3:])

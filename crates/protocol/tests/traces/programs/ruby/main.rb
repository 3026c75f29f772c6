# Writes the trace of each scenario, and beside it what the live error says: ruby main.rb FOLDER PREFIX SCENARIO...
require_relative "shop"

def quoted(text)
  return "null" if text.nil?

  "\"" + text.gsub(/["\\\n]/, "\"" => "\\\"", "\\" => "\\\\", "\n" => "\\n") + "\""
end

def frame(place)
  return "null" if place.nil?

  "{\"file\": #{quoted(place.path)}, \"line\": #{place.lineno}, \"function\": #{quoted(place.label)}}"
end

def describe(error, source, out)
  places = error.backtrace_locations
  # Of an empty message only the class is told.
  message = error.respond_to?(:detailed_message) ? error.detailed_message(highlight: false) : error.message
  message = message.sub(" (#{error.class})", "") if error.respond_to?(:detailed_message)
  message = nil if error.message.empty?
  out << "  {\"class\": #{quoted(error.class.name)}, \"message\": #{quoted(message)}, \"source\": #{quoted(source)}, " \
         "\"frame_count\": #{places.size},\n   \"top\": #{frame(places.first)},\n   \"bottom\": #{frame(places.last)}}"
  describe(error.cause, "cause", out) if error.cause
end

def json_of(errors)
  "{\"language\": \"ruby\", \"errors\": [\n#{errors.join(",\n")}\n]}\n"
end

def main(folder, prefix, names)
  names.each do |name|
    begin
      Shop.public_send(name)
    rescue Exception => error
      caught = error
    end
    out = []
    describe(caught, nil, out)
    write = ->(suffix, text, json) do
      File.write("#{folder}/#{prefix}#{name}#{suffix}.txt", text + "\n")
      File.write("#{folder}/#{prefix}#{name}#{suffix}.json", json)
    end
    write.call("", caught.full_message(highlight: false, order: :top).chomp, json_of(out))
    next unless %w[simple nested].include?(name)

    write.call("_bottom", caught.full_message(highlight: false, order: :bottom).chomp, json_of(out))
    write.call("_highlighted", caught.full_message(highlight: true, order: :top).chomp, json_of(out))
    frames_only = out.first.sub(/"class": "[^"]*", "message": "[^"]*"/, '"class": null, "message": null')
    write.call("_backtrace", caught.backtrace.join("\n"), json_of([frames_only]))
  end
end

main(ARGV[0], ARGV[1], ARGV[2..])

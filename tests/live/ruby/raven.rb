# The client for Ruby that came before Sentry's own.
require "sentry-raven-without-integrations"
require_relative "shop"

puts "version #{Raven::VERSION}"
Raven.configure do |config|
  config.dsn = ENV.fetch("LIVE_DSN")
  config.release = ENV.fetch("LIVE_RELEASE")
  config.current_environment = ENV.fetch("LIVE_ENVIRONMENT")
  config.silence_ready = true
end
Raven.user_context(id: "ada-7", email: "ada@shop.example")
Raven.tags_context(shelf: "north-7")
Raven.breadcrumbs.record { |crumb| crumb.message, crumb.category, crumb.data = "basket opened", "basket", { items: 3 } }
Raven.capture_message(ENV.fetch("LIVE_NOTE"), level: "warning")
begin
  charge(ENV.fetch("LIVE_MESSAGE"))
rescue PaymentDeclined => error
  Raven.capture_exception(error)
end

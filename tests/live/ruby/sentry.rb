# Sentry's client for Ruby.
require "sentry-ruby"
require_relative "shop"

puts "version #{Sentry::VERSION}"
Sentry.init do |config|
  config.dsn = ENV.fetch("LIVE_DSN")
  config.release = ENV.fetch("LIVE_RELEASE")
  config.environment = ENV.fetch("LIVE_ENVIRONMENT")
  config.background_worker_threads = 0
end
Sentry.set_user(id: "ada-7", email: "ada@shop.example")
Sentry.set_tags(shelf: "north-7")
Sentry.add_breadcrumb(Sentry::Breadcrumb.new(category: "basket", message: "basket opened", data: { items: 3 }))
Sentry.capture_message(ENV.fetch("LIVE_NOTE"), level: :warning)
begin
  charge(ENV.fetch("LIVE_MESSAGE"))
rescue PaymentDeclined => error
  Sentry.capture_exception(error)
end

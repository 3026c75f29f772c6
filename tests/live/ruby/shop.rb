# What the Ruby programs have in common: an error with a cause.

$stdout.sync = true

class BankUnreachable < StandardError; end

class PaymentDeclined < StandardError; end

def ask_bank
  raise BankUnreachable, "no answer within 3 s"
end

def charge(message)
  ask_bank
rescue BankUnreachable
  puts "raised #{(Time.now.to_f * 1000).to_i}"
  raise PaymentDeclined, message # it is raised here
end

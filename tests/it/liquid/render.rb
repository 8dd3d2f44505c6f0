# Renders Liquid with Shopify's own engine: a JSON array of templates and data in, one JSON value a line out: the
# text, or null if the template fails.
require 'json'
require 'liquid'
require 'time'

job = JSON.parse($stdin.read)
job['templates'].each do |text|
  output =
    begin
      template = Liquid::Template.parse(text, error_mode: :lax)
      # A template may change the data: each has its own.
      rendered = template.render(JSON.parse(JSON.generate(job['data']))).force_encoding('UTF-8')
      rendered if template.errors.empty? && rendered.valid_encoding?
    rescue StandardError, SystemStackError
      nil
    end
  puts JSON.generate(output)
end

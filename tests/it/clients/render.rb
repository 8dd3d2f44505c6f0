# Renders Liquid with Shopify's own engine: one JSON object a line in, one a line out.
#   in   {"template": "...", "variables": {...}, "secrets": {"name": {...}}}
#   out  {"output": "...", "aborted": null, "calls": [{"method": "GET", "status": 200, "encoding": null}]}
begin
  require 'liquid'
rescue LoadError
  abort 'the Ruby library `liquid` is missing; for example: apt-get install ruby ruby-liquid'
end
require 'digest'
require 'erb'
require 'json'
require 'openssl'
require_relative 'connected_content'

# The filters that Braze adds and that these templates use.
module BrazeFilters
  def url_param_escape(input)
    ERB::Util.url_encode(input.to_s)
  end

  def sha2(input)
    Digest::SHA256.hexdigest(input.to_s)
  end

  def hmac_sha256(input, secret)
    OpenSSL::HMAC.hexdigest('SHA256', secret.to_s, input.to_s)
  end
end

# `{% abort_message('why') %}`: nothing is sent.
class AbortMessage < Liquid::Tag
  def initialize(name, markup, options)
    super
    @why = markup[/\A\(\s*(?:'([^']*)'|"([^"]*)")?\s*\)/] ? ($1 || $2 || '') : ''
  end

  def render_to_output_buffer(_context, _output)
    # Liquid would print an exception and go on.
    throw :aborted, @why
  end
end

Liquid::Template.register_tag('connected_content', ConnectedContent)
Liquid::Template.register_tag('abort_message', AbortMessage)
Liquid::Template.register_filter(BrazeFilters)

def render(job)
  # Braze's `${name}` is the attribute of that name.
  text = job['template'].gsub(/\$\{\s*(\w+)\s*\}/) { $1 }
  registers = { calls: [], secrets: job['secrets'] }
  output = nil
  aborted = catch(:aborted) do
    output = Liquid::Template.parse(text).render(job['variables'], registers: registers)
    nil
  end
  { output: output, aborted: aborted, calls: registers[:calls] }
end

$stdout.sync = true
$stdin.set_encoding(Encoding::UTF_8)
$stdin.each_line { |line| puts JSON.generate(render(JSON.parse(line))) }

# Braze's `connected_content` tag for Liquid, as Braze documents it, with real HTTP calls.
require 'json'
require 'liquid'
require 'net/http'
require 'stringio'
require 'uri'
require 'zlib'

class ConnectedContent < Liquid::Tag
  # An answer that takes longer is dropped, and so is a larger body.
  TIMEOUT_S = 2
  BODY_BYTES_MAX = 1_000_000
  # Of one step of decompression.
  PART_BYTES = 65_536
  KEEP_ALIVE_S = 60
  # Open ones, by host and port.
  CONNECTIONS = {}
  ADDRESS = %r{\A\s*(https?://(?:\{\{.*?\}\}|[^\s{}])+)}m
  # Options are parted by their colon, which stands after white space; those in JSON do not.
  OPTION = /\s+:(?=[a-z_]+(?:\s|\z))/
  # Those of caching and retries are taken and change nothing: every call here is one request.
  KNOWN = %w[auth_credentials basic_auth body cache_max_age content_type headers method no_cache retry save].freeze

  def initialize(name, markup, options)
    super
    @address = markup[ADDRESS, 1] or raise Liquid::SyntaxError, 'connected_content without a URL'
    parts = markup.sub(ADDRESS, '').split(OPTION).map(&:strip).reject(&:empty?)
    @options = parts.to_h { |part| part.split(/\s+/, 2).then { |option, value| [option, value || ''] } }
    unknown = @options.keys - KNOWN
    raise Liquid::SyntaxError, "connected_content with #{unknown.join(', ')}" unless unknown.empty?

    @headers = JSON.parse(@options.fetch('headers', '{}'))
    @method = @options.fetch('method', 'get').upcase
  end

  # Only a 2xx with a JSON object is saved, and text takes the tag's place. After anything else the
  # variable is nil.
  def render_to_output_buffer(context, output)
    status, body = call(context)
    saved = nil
    if status&.between?(200, 299)
      begin
        parsed = JSON.parse(body)
        saved = parsed.merge('__http_status_code__' => status) if parsed.is_a?(Hash)
      rescue JSON::ParserError
        output << body
      end
    end
    context.scopes.last[@options.fetch('save', 'connected')] = saved
    output
  end

  private

  # Status and body; neither when there was no answer. What happened stands in the register `calls`.
  def call(context)
    seen = { 'method' => @method, 'status' => nil, 'encoding' => nil }
    context.registers[:calls] << seen
    address = URI.parse(rendered(@address, context))
    response, bytes = ask(address, request(address, context))
    seen['status'] = response.code.to_i
    seen['encoding'] = response['content-encoding']
    [seen['status'], decoded(bytes, seen['encoding'])]
  rescue IOError, SystemCallError, Timeout::Error, URI::InvalidURIError, Net::ProtocolError, Zlib::Error => e
    seen['failure'] = e.class.name
    nil
  end

  def request(address, context)
    request = { 'GET' => Net::HTTP::Get, 'POST' => Net::HTTP::Post }.fetch(@method).new(address)
    type = @options['content_type']
    request['User-Agent'] = 'Braze Sender 8b6d7ddbfd57d0d0c5d0c6a3bc8c1b8b'
    request['X-Braze-Sender-Version'] = '3.1'
    # Whoever sets this header decodes the answers: Net::HTTP does not.
    request['Accept-Encoding'] = 'gzip'
    request['Accept'] = type || '*/*'
    request['Content-Type'] = type || (@method == 'GET' ? 'application/json' : 'application/x-www-form-urlencoded')
    authorize(request, context)
    @headers.each { |name, value| request[name] = rendered(value, context) }
    request.body = body_of(type, context) if @method == 'POST'
    request
  end

  # Stored credentials stand in the register `secrets` by name.
  def authorize(request, context)
    secrets = context.registers[:secrets]
    if (name = @options['basic_auth'])
      request.basic_auth(*secrets.fetch(name).values_at('username', 'password'))
    elsif (name = @options['auth_credentials'])
      secrets.fetch(name).each { |header, value| request[header] = value }
    end
  end

  # Pairs become a JSON object when JSON is what is sent; all else goes out as it is written.
  def body_of(type, context)
    text = @options.fetch('body', '')
    return rendered(text, context) if type != 'application/json' || text.start_with?('{')

    text.split('&').to_h { |pair| pair.split('=', 2) }.transform_values { |value| rendered(value, context) }.to_json
  end

  # The answer and its body. One connection per host is kept, as a busy sender does; nothing is repeated
  # and no redirect followed.
  def ask(address, request)
    body = +''
    response = connection(address).request(request) do |answer|
      answer.read_body { |part| append(body, part) }
    end
    [response, body]
  rescue StandardError
    # What is left of an answer that broke off is not the beginning of the next one.
    CONNECTIONS.delete(address.authority)
    raise
  end

  def connection(address)
    CONNECTIONS[address.authority] ||=
      Net::HTTP.new(address.host, address.port, nil).tap do |http|
        http.open_timeout = http.read_timeout = http.write_timeout = TIMEOUT_S
        http.keep_alive_timeout = KEEP_ALIVE_S
        http.max_retries = 0
        http.start
      end
  end

  def append(body, part)
    raise IOError, 'the body is too large' if body.bytesize + part.bytesize > BODY_BYTES_MAX

    body << part
  end

  def decoded(bytes, encoding)
    body = +''
    if encoding == 'gzip'
      reader = Zlib::GzipReader.new(StringIO.new(bytes))
      while (part = reader.read(PART_BYTES))
        append(body, part)
      end
    else
      body = bytes
    end
    body.force_encoding(Encoding::UTF_8)
  end

  def rendered(text, context)
    Liquid::Template.parse(text).render(context)
  end
end

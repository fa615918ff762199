# SPDX-License-Identifier: MIT
# A server on the given port that answers every request with the number of requests so far.
require "socket"
server = TCPServer.new("127.0.0.1", ARGV[0].to_i)
count = 0
loop do
  client = server.accept
  loop do
    head = []
    while (line = client.gets) && line != "\r\n"
      head << line.downcase
    end
    break unless line
    count += 1
    body = "#{count}\n"
    client.write("HTTP/1.1 200 OK\r\nContent-Length: #{body.size}\r\n\r\n#{body}")
    break if head.include?("connection: close\r\n")
  end
  client.close
end

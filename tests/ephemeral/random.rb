# SPDX-License-Identifier: MIT
# A server on the given port that answers with random numbers, one "NAME VALUE" a line.
require "openssl"
require "securerandom"
require "socket"
server = TCPServer.new("127.0.0.1", ARGV[0].to_i)
loop do
  client = server.accept
  nil while (line = client.gets) && line != "\r\n"
  body = "rand #{rand}\nSecureRandom.hex #{SecureRandom.hex}\n" \
         "Random.urandom #{Random.urandom(8).unpack1("H*")}\n" \
         "OpenSSL::Random #{OpenSSL::Random.random_bytes(8).unpack1("H*")}\n"
  client.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: #{body.size}\r\n\r\n#{body}")
  client.close
end

import asyncio


async def handle(reader, writer):
    data = await reader.read(100000)
    writer.write(data[::-1])
    await writer.drain()
    writer.close()


async def client(port, n):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    message = (b"message %d " % n) * 500
    writer.write(message)
    writer.write_eof()
    got = await reader.read(-1)
    writer.close()
    return got == message[::-1]


async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(await asyncio.gather(*(client(port, n) for n in range(10))))
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.05)
    except asyncio.TimeoutError:
        print("timeout")
    server.close()

asyncio.run(main())

%% What bench/lossy-peer.ts does, for Erlang: an echo and a sink that counts at one end of the lossy wire, a light sender
%% and a bulk sender at the other. Backpressure is the distribution's own: a sender is suspended while its port is busy.
-module(bench_lossy).
-export([receiver/0, measure/5]).

receiver() ->
    register(echo, spawn(fun echo/0)),
    register(sink, spawn(fun() -> sink(0) end)),
    ok.

echo() ->
    receive From -> From ! pong end,
    echo().

sink(Bytes) ->
    receive
        Bulk when is_binary(Bulk) -> sink(Bytes + byte_size(Bulk));
        From -> From ! {Bytes, now_us()}, sink(Bytes)
    end.

%% [Microseconds of each round trip, bytes that arrived, microseconds they took].
measure(Node, BulkBytes, WarmUpMs, DurationMs, PauseMs) ->
    Bulk = binary:copy(<<7>>, BulkBytes),
    {Sender, Monitor} = spawn_monitor(fun() -> bulk(Node, Bulk) end),
    pings(Node, WarmUpMs, PauseMs),
    {BytesBefore, BeforeUs} = counted(Node),
    Samples = pings(Node, DurationMs, PauseMs),
    {BytesAfter, AfterUs} = counted(Node),
    exit(Sender, kill),
    receive {'DOWN', Monitor, process, _, _} -> ok end,
    %% What is still on its way must not meet the next round.
    counted(Node),
    [Samples, BytesAfter - BytesBefore, AfterUs - BeforeUs].

pings(Node, DurationMs, PauseMs) ->
    pings(Node, now_us() + DurationMs * 1000, PauseMs, []).

pings(Node, EndUs, PauseMs, Samples) ->
    StartUs = now_us(),
    if
        StartUs >= EndUs -> lists:reverse(Samples);
        true ->
            {echo, Node} ! self(),
            receive pong -> ok end,
            TookUs = now_us() - StartUs,
            timer:sleep(PauseMs),
            pings(Node, EndUs, PauseMs, [TookUs | Samples])
    end.

bulk(Node, Bulk) ->
    {sink, Node} ! Bulk,
    bulk(Node, Bulk).

counted(Node) ->
    {sink, Node} ! self(),
    receive {Bytes, AtUs} -> {Bytes, AtUs} end.

now_us() -> erlang:monotonic_time(microsecond).

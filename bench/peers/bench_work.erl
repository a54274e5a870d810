%% The work of `npm run bench -- peers` between two Erlang nodes: what skein.ts does between two of ours. Times are lists of
%% nanoseconds, one for each round trip after the warm-up; a flood is told in nanoseconds until the receiver had it all.
-module(bench_work).
-behaviour(gen_server).
-export([serve/0, ping_pong/3, call/3, small/4, large/4]).
-export([init/1, handle_call/3, handle_cast/2]).

%% At the receiving node: an echo and a sink as processes, and a server that is called.
serve() ->
    register(echo, spawn(fun() -> receive {partner, Partner} -> echo(Partner) end end)),
    register(sink, spawn(fun() -> sink(0, infinity, none) end)),
    {ok, _} = gen_server:start({local, server}, ?MODULE, [], []),
    true.

%% Answers its partner, process id to process id, until it is given another one.
echo(Partner) ->
    receive
        {partner, Next} -> echo(Next);
        Message -> Partner ! Message, echo(Partner)
    end.

%% Counts messages until the number that was announced, then says so.
sink(Got, Got, Asker) -> Asker ! {sink, Got}, sink(0, infinity, none);
sink(Got, Wanted, Asker) ->
    receive
        {wanted, Count, Process} -> sink(Got, Count, Process);
        _ -> sink(Got + 1, Wanted, Asker)
    end.

init([]) -> {ok, none}.
handle_call(Request, _, State) -> {reply, Request, State}.
handle_cast(_, State) -> {noreply, State}.

ping_pong(Node, WarmUp, Count) ->
    Echo = erpc:call(Node, erlang, whereis, [echo]),
    Echo ! {partner, self()},
    Ping = binary:copy(<<7>>, 64),
    round_trips(fun() -> Echo ! Ping, receive Ping -> ok end end, WarmUp, Count).

call(Node, WarmUp, Count) ->
    round_trips(fun() -> gen_server:call({server, Node}, <<"ping">>) end, WarmUp, Count).

round_trips(Exchange, WarmUp, Count) ->
    [Exchange() || _ <- lists:seq(1, WarmUp)],
    [time(Exchange) || _ <- lists:seq(1, Count)].

time(Run) ->
    Start = erlang:monotonic_time(nanosecond),
    Run(),
    erlang:monotonic_time(nanosecond) - Start.

%% Messages of about 100 bytes, as a map of three fields or as a binary, from so many senders. A light one lets everybody
%% else have a turn after each of its messages.
small(Node, Kind, Senders, Share) ->
    Make = case Kind of
        map -> Text = binary:copy(<<"x">>, 77), fun(I) -> #{type => tick, sequence => I, text => Text} end;
        binary -> Binary = binary:copy(<<7>>, 95), fun(_) -> Binary end
    end,
    Send = case Senders >= 1000 of
        true -> fun(I) -> {sink, Node} ! Make(I), erlang:yield() end;
        false -> fun(I) -> {sink, Node} ! Make(I) end
    end,
    flood(Node, Senders, Share, Send).

large(Node, Bytes, Senders, Share) ->
    Binary = binary:copy(<<7>>, Bytes),
    flood(Node, Senders, Share, fun(_) -> {sink, Node} ! Binary end).

flood(Node, Senders, Share, Send) ->
    time(fun() ->
        {sink, Node} ! {wanted, Senders * Share, self()},
        [spawn_link(fun() -> repeat(Send, 0, Share) end) || _ <- lists:seq(1, Senders)],
        receive {sink, _} -> ok end
    end).

repeat(_, Count, Count) -> ok;
repeat(Send, I, Count) -> Send(I), repeat(Send, I + 1, Count).

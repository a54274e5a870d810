%% One node of the oracle. Reads requests from standard input, one Erlang term a line, and answers with one line of JSON
%% each. `oracle` is the conductor of this node: it starts actors, passes operations on to them, and monitors them, so
%% that it can tell how they ended. An actor takes operations out of its mailbox and leaves everything else there until
%% an operation asks for it. Pids, references and the `from` of calls travel as their external format in base64.
-module(oracle).
-export([main/0, actor/3]).

-define(PATIENCE_MS, 8000).

-record(state, {
    actors = #{},   % name => pid
    names = #{},    % pid => name
    ended = #{},    % name => reason
    pending = #{},  % name => [request id], operations under way
    awaited = []    % [{name, request id}], who waits for an end
}).

main() ->
    register(oracle, self()),
    process_flag(trap_exit, true),
    Conductor = self(),
    spawn_link(fun() -> read(Conductor) end),
    answer(0, json(ready)),
    loop(#state{}).

read(Conductor) ->
    case io:get_line("") of
        Line when is_list(Line) ->
            {ok, Tokens, _} = erl_scan:string(Line),
            {ok, Term} = erl_parse:parse_term(Tokens),
            Conductor ! {request, Term},
            read(Conductor);
        _ ->
            halt(0)
    end.

loop(State) ->
    receive
        {request, {Id, Request}} -> loop(request(Id, Request, State));
        {done, Id, Name, Json} -> loop(done(Id, Name, Json, State));
        {adopt, Name, Pid} -> loop(adopt(Name, Pid, State));
        {'DOWN', _, process, Pid, Reason} -> loop(down(Pid, Reason, State));
        _ -> loop(State)
    end.

request(Id, {spawn, Name}, State) ->
    {Pid, _} = spawn_monitor(?MODULE, actor, [Name, [], none]),
    answer(Id, json(Pid)),
    known(Name, Pid, State);
request(Id, {act, Name, Operation, Args}, #state{actors = Actors, pending = Pending} = State) ->
    case Actors of
        #{Name := Pid} ->
            Pid ! {'$do', Id, Operation, [decode(Arg) || Arg <- Args]},
            State#state{pending = Pending#{Name => [Id | maps:get(Name, Pending, [])]}};
        _ ->
            case State#state.ended of
                #{Name := _} -> answer(Id, json(ended)), State;
                %% It was spawned by another node and has not reported yet.
                _ -> self() ! {request, {Id, {act, Name, Operation, Args}}}, State
            end
    end;
request(Id, {ended, Name}, State) ->
    case State#state.ended of
        #{Name := Reason} -> answer(Id, json(Reason)), State;
        _ -> State#state{awaited = [{Name, Id} | State#state.awaited]}
    end;
request(Id, clear, State) ->
    Pids = maps:values(State#state.actors),
    [exit(Pid, kill) || Pid <- Pids],
    [receive {'DOWN', _, process, Pid, _} -> ok end || Pid <- Pids],
    [answer(Pending, json(cleared)) || Ids <- maps:values(State#state.pending), Pending <- Ids],
    [answer(Waiting, json(cleared)) || {_, Waiting} <- State#state.awaited],
    answer(Id, json(ok)),
    #state{};
request(Id, {connect, Node}, State) ->
    answer(Id, json(net_kernel:connect_node(Node))),
    State;
request(Id, {disconnect, Node}, State) ->
    answer(Id, json(erlang:disconnect_node(Node))),
    State;
request(Id, nodes, State) ->
    answer(Id, json(nodes())),
    State.

adopt(Name, Pid, State) ->
    monitor(process, Pid),
    known(Name, Pid, State).

known(Name, Pid, #state{actors = Actors, names = Names} = State) ->
    State#state{actors = Actors#{Name => Pid}, names = Names#{Pid => Name}}.

done(Id, Name, Json, #state{pending = Pending} = State) ->
    case lists:member(Id, maps:get(Name, Pending, [])) of
        true ->
            answer(Id, Json),
            State#state{pending = Pending#{Name => lists:delete(Id, maps:get(Name, Pending))}};
        false -> State
    end.

down(Pid, Reason, #state{names = Names} = State) ->
    case Names of
        #{Pid := Name} ->
            [answer(Id, json(ended)) || Id <- maps:get(Name, State#state.pending, [])],
            {Told, Awaited} = lists:partition(fun({Of, _}) -> Of =:= Name end, State#state.awaited),
            [answer(Id, json(Reason)) || {_, Id} <- Told],
            State#state{
                actors = maps:remove(Name, State#state.actors),
                ended = maps:put(Name, Reason, State#state.ended),
                pending = maps:remove(Name, State#state.pending),
                awaited = Awaited
            };
        _ -> State
    end.

%% An actor. `Parent`: who spawned it, if that was not the conductor.
actor(Name, First, Parent) ->
    case Parent of
        none -> ok;
        _ -> oracle ! {adopt, Name, self()}
    end,
    put(name, Name),
    [do(Operation, Args) || [Operation | Args] <- First],
    act().

act() ->
    receive
        {'$do', Id, Operation, Args} ->
            Result = do(Operation, Args),
            oracle ! {done, Id, get(name), json(Result)},
            act()
    end.

do(send, [To, Value]) -> To ! Value, ok;
do(sendMany, [To, Count]) -> [To ! N || N <- lists:seq(1, Count)], ok;
do(take, [Count]) -> take(Count);
do(pick, [Value]) -> receive Value -> Value after ?PATIENCE_MS -> nothing end;
do(pickWithin, [Value, Timeout]) -> receive Value -> Value after Timeout -> timeout end;
do(awaitDown, [Ref]) -> receive {'DOWN', Ref, process, _, Reason} -> Reason after ?PATIENCE_MS -> nothing end;
do(hold, []) -> [Message] = take(1), self() ! Message, ok;
do(rest, []) -> rest();
do(trap, [On]) -> process_flag(trap_exit, On), ok;
do(link, [Pid]) -> link(Pid), ok;
do(unlink, [Pid]) -> unlink(Pid), ok;
do(monitor, [To]) -> monitor(process, To);
do(demonitor, [Ref]) -> demonitor(Ref, [info]);
do(demonitorFlush, [Ref]) -> demonitor(Ref, [flush, info]);
do(exit, [Pid, Reason]) -> exit(Pid, Reason), ok;
do('end', [return]) -> exit(normal);
do('end', [error, Reason]) -> error(Reason);
do('end', [exit, Reason]) -> exit(Reason);
do(register, [Name]) -> guarded(fun() -> register(Name, self()) end);
do(unregister, [Name]) -> guarded(fun() -> unregister(Name) end);
do(whereis, [Name]) -> case whereis(Name) of undefined -> nobody; Pid -> Pid end;
do(call, [To, Request, Timeout]) ->
    try gen:call(To, '$gen_call', Request, Timeout) of
        {ok, Reply} -> [reply, Reply]
    catch
        exit:{nodedown, _} -> [error, noconnection];
        exit:Reason when Reason =:= noproc; Reason =:= noconnection; Reason =:= timeout -> [error, Reason];
        exit:Reason -> [ended, Reason]
    end;
do(reply, [From, Value]) -> gen:reply(From, Value), ok;
do(sendAfter, [Ms, To, Value]) ->
    put(asked, erlang:monotonic_time()),
    erlang:send_after(Ms, To, Value);
do(cancel, [Timer]) -> is_integer(erlang:cancel_timer(Timer));
do(passed, [Ms]) ->
    erlang:convert_time_unit(erlang:monotonic_time() - get(asked), native, microsecond) >= Ms * 1000;
do(isAlive, [Pid]) ->
    try erpc:call(node(Pid), erlang, is_process_alive, [Pid])
    catch error:{erpc, Reason} -> [error, Reason]
    end;
do(watchNodes, [On]) -> net_kernel:monitor_nodes(On), ok;
do(spawn, [Name, _, First]) -> [spawn(?MODULE, actor, [Name, First, self()])];
do(spawnLink, [Name, _, First]) -> [spawn_link(?MODULE, actor, [Name, First, self()])];
do(spawnMonitor, [Name, _, First]) -> tuple_to_list(spawn_monitor(?MODULE, actor, [Name, First, self()]));
do(spawnOn, Args) -> requested(Args, []);
do(spawnLinkOn, Args) -> requested(Args, [link]);
do(spawnMonitorOn, Args) -> requested(Args, [monitor]).

requested([Name, Node, First], Options) ->
    Request = spawn_request(Node, ?MODULE, actor, [Name, First, self()], Options),
    receive
        {spawn_reply, Request, ok, Pid} -> [Pid, Request];
        {spawn_reply, Request, error, Reason} -> {error, Reason}
    end.

guarded(Do) ->
    try Do(), ok
    catch error:badarg -> badarg
    end.

-define(IS_MESSAGE(M), not (is_tuple(M) andalso element(1, M) =:= '$do')).

take(0) -> [];
take(Count) ->
    receive M when ?IS_MESSAGE(M) -> [M | take(Count - 1)]
    after ?PATIENCE_MS -> [nothing]
    end.

rest() ->
    receive M when ?IS_MESSAGE(M) -> [M | rest()]
    after 0 -> []
    end.

decode({'$handle', Base64}) -> binary_to_term(base64:decode(Base64));
decode({'$name', Name, Node}) -> {Name, Node};
decode(List) when is_list(List) -> [decode(One) || One <- List];
decode(Other) -> Other.

answer(Id, Json) -> io:put_chars([integer_to_list(Id), " ", Json, "\n"]).

json(Number) when is_integer(Number) -> integer_to_list(Number);
json(true) -> "true";
json(false) -> "false";
json(Atom) when is_atom(Atom) -> string(atom_to_list(Atom));
json(List) when is_list(List) -> ["[", lists:join(",", [json(One) || One <- List]), "]"];
json(Handle) when is_pid(Handle); is_reference(Handle) -> handle(Handle);
json({'DOWN', Ref, process, What, Reason}) -> json(['DOWN', Ref, What, Reason]);
json({'EXIT', Pid, Reason}) -> json(['EXIT', Pid, Reason]);
json({nodeup, Node}) -> json([nodeup, {node, Node}]);
json({nodedown, Node}) -> json([nodedown, {node, Node}]);
json({node, Node}) -> ["{\"node\":", string(atom_to_list(Node)), "}"];
json({'$gen_call', {Caller, _} = From, Request}) ->
    ["[\"call\",", json(Caller), ",", json(Request), ",", handle(From), "]"];
json({error, Reason}) -> json([error, Reason]);
json({Name, Node}) when is_atom(Name), is_atom(Node) ->
    ["{\"name\":", string(atom_to_list(Name)), ",\"node\":", string(atom_to_list(Node)), "}"];
json({Caller, [alias | _]} = From) when is_pid(Caller) -> handle(From);
%% The reason of an end by error: what was thrown, and where.
json({Error, [Where | _]}) when is_tuple(Where) -> ["{\"error\":", json(Error), "}"];
json(Other) -> string(lists:flatten(io_lib:format("~0p", [Other]))).

handle(Term) -> ["{\"handle\":\"", base64:encode(term_to_binary(Term)), "\"}"].

string(Text) -> [$", [case C of $" -> "\\\""; $\\ -> "\\\\"; _ -> C end || C <- Text], $"].
